//! What every adapter has to pass: one test for each promise of the port.
//!
//! An adapter's tests call [`conformance_suite!`](crate::conformance_suite) with a [`Subject`].

// These are assertions that other crates' tests run.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, though compiled as a library for the tests of adapters"
)]

pub mod basics;
pub mod concurrency;
pub mod conditions;
pub mod durability;
pub mod limits;
pub mod logs;
pub mod replication;
pub mod scans;
pub mod tokens;
pub mod watches;
pub mod workload;

use std::future::Future;
use std::sync::Arc;

use crate::batch::Batch;
use crate::error::{CommitError, Conflict};
use crate::key::{Key, KeyRange, Value};
use crate::port::{Page, Scan, Store, Stored};
use crate::version::Version;

/// An adapter under test, empty at first.
pub trait Subject: Sized {
    /// Whether what it needs is there. Where it is not, the test is skipped, and this says so.
    fn is_available() -> impl Future<Output = bool> {
        std::future::ready(true)
    }

    /// An empty store.
    fn open() -> impl Future<Output = Self>;

    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Stops it without a warning and starts it again on the same data.
    fn restart(&mut self) -> impl Future<Output = ()>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            basics::what_is_put_can_be_read,
            basics::deletes_remove,
            basics::versions_grow_and_mark_what_was_written,
            basics::a_batch_is_atomic,
            basics::a_snapshot_does_not_change,
            basics::a_snapshot_outlives_many_commits,
            basics::keys_are_bytes,
            basics::it_is_a_sorted_map,
            conditions::a_key_at_its_version,
            conditions::an_absent_key,
            conditions::the_first_failing_condition_is_named,
            conditions::an_unchanged_range,
            conditions::a_range_notices_what_went,
            conditions::a_page_guards_only_what_it_shows,
            conditions::an_old_range_is_still_checked,
            scans::ranges_have_an_end,
            scans::pages_follow_each_other,
            scans::pages_are_bounded_by_bytes,
            logs::appends_keep_the_order_of_commits,
            logs::a_follower_misses_nothing,
            tokens::a_token_commits_once,
            tokens::a_token_outlives_a_restart,
            tokens::a_conflict_does_not_use_up_a_token,
            tokens::many_at_once_commit_once,
            watches::a_watch_wakes,
            watches::other_prefixes_do_not_wake,
            watches::wake_ups_are_coalesced_and_never_missed,
            watches::a_key_watch_tells_the_keys,
            watches::a_key_watch_misses_none,
            durability::what_was_answered_is_there_after_a_restart,
            durability::versions_grow_over_restarts,
            limits::the_largest_fit,
            limits::more_is_refused,
            concurrency::increments_are_not_lost,
            concurrency::histories_are_strictly_serialisable,
        );
    };
    (@tests $subject:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if !<$subject as $crate::conformance::Subject>::is_available().await {
                    return;
                }
                let mut subject = <$subject as $crate::conformance::Subject>::open().await;
                $crate::conformance::$module::$name(&mut subject).await;
            }
        )+
    };
}

pub(crate) fn key(text: impl Into<String>) -> Key {
    Key::new(text.into()).unwrap()
}

pub(crate) fn value(text: impl Into<String>) -> Value {
    Value::new(text.into()).unwrap()
}

fn put(name: &str, text: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), value(text));
    batch
}

/// Commits what must succeed.
async fn commit(store: &Arc<dyn Store>, batch: Batch) -> Version {
    let commit = store.commit(batch).await.expect("the batch is committed");
    assert!(!commit.replayed);
    commit.version
}

/// Commits what must meet a conflict.
async fn conflict(store: &Arc<dyn Store>, batch: Batch) -> Conflict {
    match store.commit(batch).await {
        Err(CommitError::Conflict(conflict)) => *conflict,
        other => panic!("a conflict was due: {other:?}"),
    }
}

async fn stored(store: &Arc<dyn Store>, name: &str) -> Option<Stored> {
    let read = store.read(&[key(name)]).await.expect("the key can be read");
    assert_eq!(read.values.len(), 1);
    read.values.into_iter().next().flatten()
}

async fn text(store: &Arc<dyn Store>, name: &str) -> Option<String> {
    let stored = stored(store, name).await?;
    Some(String::from_utf8_lossy(stored.value.as_ref()).into_owned())
}

async fn scan(store: &Arc<dyn Store>, scan: Scan) -> Page {
    store.scan(&scan).await.expect("the range can be scanned")
}

fn names(page: &Page) -> Vec<String> {
    let names = page.entries.iter();
    names
        .map(|entry| String::from_utf8_lossy(entry.key.as_ref()).into_owned())
        .collect()
}

async fn all(store: &Arc<dyn Store>) -> Page {
    scan(store, Scan::new(KeyRange::all())).await
}
