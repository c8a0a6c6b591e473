//! What one process sees.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::CacheStatus;
use mainstay_cache::state::StateCache;
use mainstay_cache::{Metrics, Selection};
use mainstay_state::encryption::{Encrypted, Encryption, EncryptionKey};
use mainstay_state::{
    Concurrency, Consistency, Delete, Found, Operation, Set, StateError, StateStore, TimeToLive,
};

use super::component::Component;
use super::{Clocks, STALE, TTL};
use crate::support::{Gate, metric, until};

struct World {
    clocks: Clocks,
    component: Component,
    cache: StateCache,
    metrics: Metrics,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Component)) -> Self {
        let clocks = Clocks::default();
        let mut component = Component::new(&clocks);
        change(&mut component);
        let (cache, metrics) = clocks.cache(Arc::new(component.clone()), clocks.local(), false);
        Self {
            clocks,
            component,
            cache,
            metrics,
        }
    }

    async fn found(&self, key: &str) -> Found {
        let keys = [key.to_owned()];
        let found = self.cache.look_up(&keys, Consistency::Eventual).await.unwrap();
        found.into_iter().next().unwrap()
    }

    /// What a key holds, and where that is from.
    async fn read(&self, key: &str) -> (Option<String>, CacheStatus) {
        let found = self.found(key).await;
        let text = found
            .item
            .map(|item| String::from_utf8(item.value.to_vec()).unwrap());
        (text, found.cache.unwrap().status)
    }

    async fn set(&self, key: &str, value: &'static str) {
        self.cache.set(Set::new(key, value)).await.unwrap();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as it is read")]
fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[tokio::test]
async fn a_value_is_given_again_until_it_is_changed() {
    let world = World::new();
    world.set("k", "1").await;
    assert_eq!(world.read("k").await, (text("1"), CacheStatus::Miss));
    world.clocks.pass(Duration::from_secs(7));
    assert_eq!(world.read("k").await, (text("1"), CacheStatus::Hit));
    let mark = world.found("k").await.cache.unwrap();
    assert_eq!(mark.age, Duration::from_secs(7));
    world.set("k", "2").await;
    assert_eq!(world.read("k").await, (text("2"), CacheStatus::Miss));
    world.cache.delete(Delete::new("k")).await.unwrap();
    assert_eq!(world.read("k").await, (None, CacheStatus::Miss));
    assert_eq!(world.read("k").await, (None, CacheStatus::Hit));
    world.set("k", "3").await;
    assert_eq!(world.read("k").await, (text("3"), CacheStatus::Miss));
    world.clocks.pass(TTL);
    assert_eq!(world.read("k").await, (text("3"), CacheStatus::Miss));
}

#[tokio::test]
async fn every_kind_of_change_is_seen() {
    let world = World::new();
    world.set("a", "1").await;
    let seen = async || (world.read("a").await.0, world.read("b").await.0);
    assert_eq!(seen().await, (text("1"), None));
    let bulk = vec![Set::new("a", "2"), Set::new("b", "2")];
    world.cache.bulk_set(bulk).await.unwrap();
    assert_eq!(seen().await, (text("2"), text("2")));
    let steps = vec![
        Operation::Set(Set::new("a", "3")),
        Operation::Delete(Delete::new("b")),
    ];
    world.cache.transact(steps).await.unwrap();
    assert_eq!(seen().await, (text("3"), None));
    world.cache.bulk_delete(vec![Delete::new("a")]).await.unwrap();
    assert_eq!(seen().await, (None, None));
}

#[tokio::test]
async fn a_strong_read_goes_past_it() {
    let world = World::new();
    world.set("k", "1").await;
    world.read("k").await;
    // Somebody else.
    world.component.set(Set::new("k", "2")).await.unwrap();
    assert_eq!(world.read("k").await, (text("1"), CacheStatus::Hit));
    let strong = world
        .cache
        .look_up(&["k".to_owned()], Consistency::Strong)
        .await
        .unwrap();
    assert_eq!(
        (&strong[0].item.as_ref().unwrap().value[..], strong[0].cache),
        (&b"2"[..], None)
    );
}

#[tokio::test]
async fn a_cached_etag_that_is_behind_conflicts_and_is_forgotten() {
    let world = World::new();
    world.set("k", "1").await;
    let behind = world.found("k").await.item.unwrap().etag;
    world.component.set(Set::new("k", "2")).await.unwrap();
    assert_eq!(world.found("k").await.item.unwrap().etag, behind);
    let mut set = Set::new("k", "3");
    (set.etag, set.concurrency) = (Some(behind), Concurrency::FirstWrite);
    let refused = world.cache.set(set.clone()).await;
    assert!(
        matches!(refused, Err(StateError::EtagMismatch { .. })),
        "{refused:?}"
    );
    // Who reads again and tries again, succeeds.
    let now = world.found("k").await.item.unwrap();
    assert_eq!(&now.value[..], b"2");
    set.etag = Some(now.etag);
    world.cache.set(set).await.unwrap();
    assert_eq!(world.read("k").await.0, text("3"));
}

#[tokio::test]
async fn a_value_lives_no_longer_in_it_than_by_itself() {
    let world = World::new();
    let mut set = Set::new("k", "1");
    set.time_to_live = Some(TimeToLive::seconds(NonZeroU32::new(10).unwrap()));
    world.cache.set(set).await.unwrap();
    world.read("k").await;
    world.clocks.pass(Duration::from_secs(9));
    assert_eq!(world.read("k").await, (text("1"), CacheStatus::Hit));
    // Not even as a stale one.
    world.component.set_broken(true);
    world.clocks.pass(Duration::from_secs(1));
    let gone = world.cache.get(&["k".to_owned()], Consistency::Eventual).await;
    assert!(matches!(gone, Err(StateError::Read(_))), "{gone:?}");
    world.component.set_broken(false);
    world.clocks.pass(Duration::from_mins(1));
    assert_eq!(world.read("k").await.0, None);
}

#[tokio::test]
async fn what_is_stale_is_given_while_the_component_is_away() {
    let world = World::new();
    world.set("k", "1").await;
    world.read("k").await;
    world.component.set_broken(true);
    world.clocks.pass(TTL);
    assert_eq!(world.read("k").await, (text("1"), CacheStatus::Stale));
    // Nor does a failure cost the others of a bulk what they have.
    let keys = ["k".to_owned(), "k".to_owned()];
    let both = world.cache.look_up(&keys, Consistency::Eventual).await.unwrap();
    assert!(
        both.iter()
            .all(|found| found.cache.unwrap().status == CacheStatus::Stale)
    );
    world.clocks.pass(STALE);
    let gone = world.cache.look_up(&keys, Consistency::Eventual).await;
    assert!(matches!(gone, Err(StateError::Read(_))), "{gone:?}");
    assert!(metric(&world.metrics, "mainstay_cache_answers_total", Some("stale")) >= 3);
}

#[tokio::test]
async fn what_is_missing_of_many_is_read_at_once() {
    let world = World::new();
    for key in ["a", "b", "c"] {
        world.set(key, "1").await;
    }
    world.read("b").await;
    let keys = ["c", "b", "a", "none"].map(str::to_owned);
    let found = world.cache.look_up(&keys, Consistency::Eventual).await.unwrap();
    let statuses: Vec<_> = found.iter().map(|found| found.cache.unwrap().status).collect();
    assert_eq!(
        statuses,
        [
            CacheStatus::Miss,
            CacheStatus::Hit,
            CacheStatus::Miss,
            CacheStatus::Miss
        ]
    );
    let there: Vec<_> = found.iter().map(|found| found.item.is_some()).collect();
    assert_eq!(there, [true, true, true, false]);
    assert_eq!(world.component.reads(), [vec!["b"], vec!["c", "a", "none"]]);
    let again = world.cache.look_up(&keys, Consistency::Eventual).await.unwrap();
    assert!(
        again
            .iter()
            .all(|found| found.cache.unwrap().status == CacheStatus::Hit)
    );
    assert_eq!(world.component.reads().len(), 2);
    let report = world.cache.report();
    assert_eq!((report.hits, report.misses), (5, 4));
}

#[tokio::test]
async fn a_load_that_began_before_a_change_is_not_kept() {
    let world = World::with(|component| component.answers = Gate::closed());
    world.set("k", "1").await;
    for many in [false, true] {
        let cache = world.cache.clone();
        let mut keys = vec!["k".to_owned()];
        if many {
            keys.push("other".to_owned());
        }
        let before = world.component.reads().len();
        let reading = tokio::spawn(async move { cache.get(&keys, Consistency::Eventual).await });
        // It has the old value in its hands.
        until(|| world.component.reads().len() > before).await;
        world.set("k", if many { "3" } else { "2" }).await;
        world.component.answers.let_through(1);
        reading.await.unwrap().unwrap();
        world.component.answers.let_through(1);
        let expected = if many { "3" } else { "2" };
        assert_eq!(world.read("k").await.0, text(expected));
    }
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_is_seen_too() {
    let world = World::with(|component| component.changes = Gate::closed());
    assert_eq!(world.read("k").await.0, None);
    let cache = world.cache.clone();
    let changing = tokio::spawn(async move { cache.set(Set::new("k", "1")).await });
    tokio::task::yield_now().await;
    changing.abort();
    assert!(changing.await.unwrap_err().is_cancelled());
    assert_eq!(world.read("k").await, (None, CacheStatus::Hit));
    world.component.changes.let_through(1);
    let seen = async {
        while world.read("k").await.0.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, seen)
        .await
        .unwrap();
    world.cache.close().await;
}

#[tokio::test]
async fn everything_can_be_forgotten() {
    let world = World::new();
    for key in ["app||a", "app||b", "other||a"] {
        world.read(key).await;
    }
    world
        .cache
        .invalidate(Selection::Prefix("app||".to_owned()))
        .await
        .unwrap();
    assert_eq!(world.read("app||a").await.1, CacheStatus::Miss);
    assert_eq!(world.read("other||a").await.1, CacheStatus::Hit);
    world.cache.invalidate(Selection::All).await.unwrap();
    assert_eq!(world.read("other||a").await.1, CacheStatus::Miss);
}

#[tokio::test]
async fn below_encryption_it_holds_nothing_readable() {
    let world = World::new();
    let key = EncryptionKey::parse("key", &"7".repeat(64)).unwrap();
    let sealed = Encrypted::new(Arc::new(world.cache.clone()), Encryption::new(key, None));
    sealed.set(Set::new("k", "hunter2")).await.unwrap();
    let keys = ["k".to_owned()];
    for status in [CacheStatus::Miss, CacheStatus::Hit] {
        let found = sealed.look_up(&keys, Consistency::Eventual).await.unwrap();
        assert_eq!(&found[0].item.as_ref().unwrap().value[..], b"hunter2");
        assert_eq!(found[0].cache.unwrap().status, status);
    }
    let (cached, status) = world.read("k").await;
    assert_eq!(status, CacheStatus::Hit);
    assert!(!cached.unwrap().contains("hunter2"));
}
