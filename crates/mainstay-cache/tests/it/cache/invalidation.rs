//! What is invalidated, and what is loaded anew on request.

use super::*;

#[tokio::test]
async fn a_reload_loads_what_is_fresh() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    let reload = |loaded| world.cache.reload("a", world.loader(&Gate::open(), loaded));
    let reloaded = reload(found("2")).await.unwrap().shared();
    assert_eq!(
        (reloaded.value, reloaded.status),
        (Bytes::from("2"), CacheStatus::Miss)
    );
    assert_eq!(world.cached("a").await.value, "2");
    // What is there is better than an error.
    assert_eq!(value(reload(Err("down")).await), "2");
    assert_eq!(world.metric(LOADS, Some("reload")), 2);
}

#[tokio::test]
async fn an_invalidation_during_a_load_keeps_the_old_value_out() {
    let (world, gate) = (World::new(), Gate::closed());
    let early = callers(&world, 2, &gate, &found("old")).await;
    world
        .cache
        .invalidate(Selection::Key("a".to_owned()))
        .await
        .unwrap();
    // Who asks after the invalidation does not get what was loaded before it.
    let late = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, found("new")));
        async move { cache.get_or_load("a", loader).await }
    });
    until(|| world.loads() == 2).await;
    gate.let_through(2);
    assert_eq!(value(late.await.unwrap()), "new");
    for caller in early {
        assert_eq!(value(caller.await.unwrap()), "old");
    }
    assert_eq!(world.cached("a").await.value, "new");
    assert_eq!(world.metric("mainstay_cache_discarded_loads_total", None), 1);
}

#[tokio::test]
async fn what_is_invalidated_is_gone_stale_or_not() {
    let world = World::new();
    for selection in [
        Selection::Key("a".to_owned()),
        Selection::Prefix("a".to_owned()),
        Selection::All,
    ] {
        value(world.get("a", found("1")).await);
        world.pass(TTL);
        world.cache.invalidate(selection).await.unwrap();
        assert_eq!(world.get("a", Err("down")).await, Err(CacheError::Load("down")));
    }
    assert_eq!(world.metric("mainstay_cache_invalidations_total", None), 3);
}

#[tokio::test]
async fn an_invalidation_goes_on_when_its_caller_goes_away() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    let begun = world.cache.invalidate(Selection::All).now_or_never();
    assert_eq!(begun, None);
    world.cache.shutdown().await;
    assert_eq!(world.get("a", Err("gone")).await, Err(CacheError::Load("gone")));
}

#[tokio::test]
async fn what_a_hit_carries_is_small() {
    let world = World::new();
    let large = Arc::new([0_u8; 64]);
    let loader = move || async move {
        let _ = &large;
        found::<std::convert::Infallible>("1")
    };
    let asking = world.cache.get_or_load("a", loader);
    assert!(size_of_val(&asking) <= 512, "{}", size_of_val(&asking));
    value(asking.await);
}
