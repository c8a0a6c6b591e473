//! The cache on a store in this process, with a clock that is moved by hand.

mod flights;
mod invalidation;
mod private;
mod refreshes;
mod stale;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use mainstay_base::{CacheStatus, Reply};
use mainstay_cache::{
    Answer, CacheError, CacheStore, Entry, Fence, Loaded, Local, Lookup, Selection, StoreError, Usage,
};
use tokio::sync::oneshot;

use crate::local::local;
use crate::support::{Gate, NEGATIVE, Outcome, PATIENCE, STALE, TTL, World, found, settings, until, value};

const ANSWERS: &str = "mainstay_cache_answers_total";
const LOADS: &str = "mainstay_cache_loads_total";

/// Past the last moment at which a refresh becomes due.
const DUE: Duration = Duration::from_secs(95);
const SECOND: Duration = Duration::from_secs(1);

/// A value, from a loader that has none for one caller alone.
fn shared(text: &'static str) -> Result<Loaded<Bytes>, &'static str> {
    found(text)
}

/// Starts `count` callers of the key `a`, and waits until one of them loads.
async fn callers(
    world: &World,
    count: usize,
    gate: &Gate,
    loaded: &Result<Loaded<Bytes>, &'static str>,
) -> Vec<tokio::task::JoinHandle<Outcome>> {
    let mut callers = Vec::new();
    for _ in 0..count {
        let (cache, loader) = (world.cache.clone(), world.loader(gate, loaded.clone()));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() >= 1).await;
    // Every caller has come as far as it can: tasks run in the order in which they were woken.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    callers
}

#[tokio::test]
async fn what_was_loaded_is_given_again() {
    let world = World::new();
    let first = world.get("a", found("1")).await.unwrap().shared();
    assert_eq!((first.value, first.status), (Bytes::from("1"), CacheStatus::Miss));
    world.pass(10 * SECOND);
    let second = world.cached("a").await;
    assert_eq!(
        (second.value, second.status),
        (Bytes::from("1"), CacheStatus::Hit)
    );
    assert_eq!(second.age, 10 * SECOND);
    assert_eq!(value(world.get("b", found("2")).await), "2");
    assert_eq!(world.metric(ANSWERS, Some("hit")), 1);
    assert_eq!(world.metric(ANSWERS, Some("miss")), 2);
    assert_eq!(world.metric(LOADS, Some("miss")), 2);
    assert_eq!(world.metric("mainstay_cache_answer_age_seconds", None), 1);
    assert_eq!(world.metric("mainstay_cache_entries", None), 2);
}

#[tokio::test]
async fn an_expired_value_is_loaded_again() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    assert_eq!(value(world.get("a", found("2")).await), "2");
    assert_eq!(world.cached("a").await.age, Duration::ZERO);
}

#[tokio::test]
async fn an_absent_value_is_kept_for_a_shorter_time() {
    let world = World::new();
    let absent = || Ok(Loaded::Value(Bytes::new(), settings().absent()));
    value(world.get("a", absent()).await);
    world.pass(NEGATIVE / 2);
    assert_eq!(world.cached("a").await.value, "");
    world.pass(NEGATIVE / 2);
    // And is not given when it cannot be loaded.
    assert_eq!(world.get("a", Err("gone")).await, Err(CacheError::Load("gone")));
}

#[tokio::test]
async fn a_value_counts_as_old_as_its_question() {
    let world = World::new();
    let gate = Gate::closed();
    let loader = world.loader(&gate, found("1"));
    let cache = world.cache.clone();
    let asking = tokio::spawn(async move { cache.get_or_load("a", loader).await });
    until(|| world.loads() == 1).await;
    world.pass(SECOND);
    gate.let_through(1);
    assert_eq!(value(asking.await.unwrap()), "1");
    assert_eq!(world.cached("a").await.age, SECOND);
}
