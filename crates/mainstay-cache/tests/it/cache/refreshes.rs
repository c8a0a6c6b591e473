//! Refreshes before the expiry.

use super::*;

#[tokio::test]
async fn a_value_is_refreshed_before_it_expires() {
    let (world, gate) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let ask = || world.cache.get_or_load("a", world.loader(&gate, found("2")));
    let first = ask().await.unwrap().shared();
    assert_eq!(
        (first.value, first.status, first.age),
        (Bytes::from("1"), CacheStatus::Refresh, DUE)
    );
    // The others do not refresh it too.
    assert_eq!(ask().await.unwrap().shared().status, CacheStatus::Hit);
    until(|| world.loads() == 2).await;
    gate.let_through(1);
    until(|| world.metric("mainstay_cache_loads_total", Some("refresh")) == 1).await;
    world.cache.shutdown().await;
    let refreshed = world.cached("a").await;
    assert_eq!(
        (refreshed.value, refreshed.status),
        (Bytes::from("2"), CacheStatus::Hit)
    );
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_costs_nothing() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let first = world.get("a", Err("down")).await.unwrap().shared();
    assert_eq!(
        (first.value, first.status),
        (Bytes::from("1"), CacheStatus::Refresh)
    );
    until(|| world.metric("mainstay_cache_load_failures_total", None) == 1).await;
    // And is not tried again at once.
    assert_eq!(world.cached("a").await.status, CacheStatus::Hit);
}

#[tokio::test]
async fn refreshes_are_bounded() {
    let (world, gate) = (World::new(), Gate::closed());
    for key in ["a", "b", "c"] {
        value(world.get(key, found("1")).await);
    }
    world.pass(DUE);
    let mut statuses = Vec::new();
    for key in ["a", "b", "c"] {
        let outcome = world
            .cache
            .get_or_load(key, world.loader(&gate, found("2")))
            .await;
        statuses.push(outcome.unwrap().shared().status);
    }
    assert_eq!(
        statuses,
        [CacheStatus::Refresh, CacheStatus::Refresh, CacheStatus::Hit]
    );
}

#[tokio::test]
async fn who_comes_after_the_expiry_waits_for_a_refresh_under_way() {
    let (world, gate) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&gate, found("2")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    world.pass(TTL);
    let late = callers(&world, 2, &gate, &found("3")).await;
    gate.let_through(1);
    for caller in late {
        assert_eq!(value(caller.await.unwrap()), "2");
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn an_end_breaks_off_refreshes_and_lets_who_waits_take_over() {
    let (world, never) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, found("never")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    world.pass(TTL);
    let waiting = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&Gate::open(), found("2")));
        async move { cache.get_or_load("a", loader).await }
    });
    tokio::task::yield_now().await;
    world.cache.shutdown().await;
    assert_eq!(value(waiting.await.unwrap()), "2");
    // Nothing is refreshed any more.
    world.pass(DUE);
    assert_eq!(world.cached("a").await.status, CacheStatus::Hit);
}

#[tokio::test]
async fn a_cache_that_nobody_has_refreshes_nothing() {
    let (world, never) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let (alive, ended) = oneshot::channel::<()>();
    let loader = world.loader(&never, shared("never"));
    let loader = move || async move {
        let _alive = alive;
        loader().await
    };
    let outcome = world.cache.get_or_load("a", loader).await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    drop(world);
    let broken_off = tokio::time::timeout(PATIENCE, ended).await;
    assert!(broken_off.expect("it runs on").is_err());
}
