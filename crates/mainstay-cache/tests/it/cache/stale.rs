//! What is stale is better than nothing.

use super::*;

#[tokio::test]
async fn what_is_stale_is_better_than_an_error() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    let stale = world.get("a", Err("down")).await.unwrap().shared();
    assert_eq!(
        (stale.value, stale.status, stale.age),
        (Bytes::from("1"), CacheStatus::Stale, TTL)
    );
    assert_eq!(world.metric(ANSWERS, Some("stale")), 1);
    world.pass(STALE);
    assert_eq!(world.get("a", Err("down")).await, Err(CacheError::Load("down")));
}

#[tokio::test]
async fn what_is_stale_is_better_than_an_answer_that_tells_of_a_failure() {
    let world = World::new();
    let failure = || Ok(Loaded::Failure(Bytes::from("503")));
    assert_eq!(value(world.get("a", failure()).await), "503");
    assert_eq!(value(world.get("a", found("1")).await), "1");
    world.pass(TTL);
    let stale = world.get("a", failure()).await.unwrap().shared();
    assert_eq!(
        (stale.value, stale.status),
        (Bytes::from("1"), CacheStatus::Stale)
    );
}

#[tokio::test]
async fn callers_do_not_wait_for_a_callee_that_just_failed() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    value(world.get("a", Err("down")).await);
    // For a second nobody tries.
    assert_eq!(world.cached("a").await.status, CacheStatus::Stale);
    world.pass(SECOND);
    // Then one attempt is made, for which nobody waits.
    let gate = Gate::closed();
    for _ in 0..3 {
        let outcome = world
            .cache
            .get_or_load("a", world.loader(&gate, found("2")))
            .await;
        assert_eq!(outcome.unwrap().shared().status, CacheStatus::Stale);
    }
    until(|| world.loads() == 3).await;
    gate.let_through(1);
    world.cache.shutdown().await;
    let healed = world.cached("a").await;
    assert_eq!(
        (healed.value, healed.status),
        (Bytes::from("2"), CacheStatus::Hit)
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_has_failed() {
    let world = World::new();
    let never = Gate::closed();
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, shared("1")))
        .await;
    assert_eq!(outcome, Err(CacheError::Timeout(PATIENCE)));
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, found("2")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Stale);
}
