//! What several processes see that have the same component.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::CacheStatus;
use mainstay_cache::RedisStore;
use mainstay_cache::state::{KeptCodec, StateCache};
use mainstay_state::{Consistency, Set, StateStore, Stored};
use mainstay_store::simulated::Simulated;
use mainstay_store::{Batch, Store};

use super::Clocks;
use super::component::Component;
use crate::redis::server::Server;
use crate::support::PATIENCE;

/// A process on a store, with a cache of its own.
fn process(clocks: &Clocks, store: &Simulated) -> (StateCache, Stored) {
    let store = Arc::new(store.clone());
    let state = Stored::with_clock(store, "statestore", clocks.wall_clock.clone()).unwrap();
    let (cache, _) = clocks.cache(Arc::new(state.clone()), clocks.local(), true);
    (cache, state)
}

async fn read(cache: &StateCache, key: &str) -> (Option<String>, CacheStatus) {
    let keys = [key.to_owned()];
    let found = cache.look_up(&keys, Consistency::Eventual).await.unwrap();
    let found = found.into_iter().next().unwrap();
    let text = found
        .item
        .map(|item| String::from_utf8(item.value.to_vec()).unwrap());
    (text, found.cache.unwrap().status)
}

async fn becomes(cache: &StateCache, key: &str, value: &str) {
    let waiting = async {
        while read(cache, key).await.0.as_deref() != Some(value) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(seen.is_ok(), "{key} never becomes {value}");
}

#[tokio::test]
async fn a_change_by_another_process_is_heard_of() {
    let (clocks, store) = (Clocks::default(), Simulated::new());
    let ((here, stored), (there, _)) = (process(&clocks, &store), process(&clocks, &store));
    here.set(Set::new("k", "1")).await.unwrap();
    becomes(&here, "k", "1").await;
    becomes(&there, "k", "1").await;
    there.set(Set::new("k", "2")).await.unwrap();
    assert_eq!(read(&there, "k").await.0.as_deref(), Some("2"));
    becomes(&here, "k", "2").await;
    // Nor does it have to come through a cache: it may be a part of somebody's batch.
    let mut batch = Batch::new();
    let change = [mainstay_state::Operation::Set(Set::new("k", "3"))];
    stored.contribute(&change, &mut batch).await.unwrap();
    store.commit(batch).await.unwrap();
    becomes(&here, "k", "3").await;
    becomes(&there, "k", "3").await;
}

#[tokio::test]
async fn hearing_of_ones_own_change_costs_nothing() {
    let (clocks, store) = (Clocks::default(), Simulated::new());
    let (cache, _) = process(&clocks, &store);
    for number in 0..20 {
        let value = number.to_string();
        cache.set(Set::new("k", value.clone())).await.unwrap();
        assert_eq!(read(&cache, "k").await, (Some(value.clone()), CacheStatus::Miss));
        // Whatever was heard of meanwhile, it is what is cached.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&cache, "k").await, (Some(value), CacheStatus::Hit));
    }
}

#[tokio::test]
async fn processes_share_what_is_cached_on_a_server() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let clocks = Clocks::default();
    let component = Component::new(&clocks);
    let mut processes = Vec::new();
    for _ in 0..2 {
        let redis = Arc::new(server.connect().await);
        let store = Arc::new(RedisStore::new(redis, "statestore", KeptCodec));
        processes.push(clocks.cache(Arc::new(component.clone()), store, false).0);
    }
    let (here, there) = (&processes[0], &processes[1]);
    here.set(Set::new("k", "1")).await.unwrap();
    assert_eq!(read(here, "k").await, (Some("1".to_owned()), CacheStatus::Miss));
    assert_eq!(read(there, "k").await, (Some("1".to_owned()), CacheStatus::Hit));
    there.set(Set::new("k", "2")).await.unwrap();
    assert_eq!(
        read(here, "k").await.0.as_deref(),
        Some("2"),
        "answered is forgotten everywhere"
    );
    assert_eq!(component.reads().len(), 2);
}
