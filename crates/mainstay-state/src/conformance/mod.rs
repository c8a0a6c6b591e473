//! What every component has to pass: tests for each rule of the port.
//!
//! A component's tests call [`conformance_suite!`](crate::conformance_suite) with a [`Subject`].

// These are assertions that other crates' tests run.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, though compiled as a library for the tests of components"
)]

pub mod atomicity;
pub mod basics;
pub mod concurrency;
pub mod etags;
pub mod limits;
pub mod lists;
pub mod merges;
pub mod queries;
pub mod time;

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_store::WallClock;

use crate::{Concurrency, Consistency, Etag, Item, Set, StateError, StateStore, TimeToLive};

/// A component under test, empty at first.
pub trait Subject: Sized {
    /// Whether what it needs is there; otherwise its tests are skipped, and it says why.
    fn is_available() -> impl Future<Output = bool> {
        async { true }
    }

    /// An empty component.
    fn open() -> impl Future<Output = Self>;

    /// The component.
    fn state(&self) -> Arc<dyn StateStore>;

    /// Lets time pass, of which values expire.
    fn pass_seconds(&self, seconds: u32) -> impl Future<Output = ()>;

    /// An `ETag` that the component can tell it never gives; `None` when it takes any text for one.
    fn malformed_etag() -> Option<&'static str>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            basics::what_is_set_can_be_read,
            basics::bytes_come_back_as_they_were,
            basics::what_is_not_there_is_nothing,
            basics::deletes_remove,
            basics::the_content_type_is_kept,
            basics::many_are_read_in_their_order,
            basics::bulk_sets_and_deletes,
            basics::keys_are_not_mixed_up,
            etags::every_set_gives_a_new_one,
            etags::a_set_with_the_etag_succeeds_once,
            etags::a_delete_with_the_etag_succeeds_once,
            etags::an_etag_of_nothing_is_a_mismatch,
            etags::an_etag_outlives_its_value_as_a_mismatch,
            etags::a_malformed_etag_is_refused,
            etags::the_first_write_wins,
            etags::first_write_with_an_etag,
            etags::the_last_write_wins,
            time::a_value_expires,
            time::a_later_set_ends_the_time_to_live,
            time::a_later_set_begins_it_anew,
            time::what_expired_does_not_exist,
            time::an_etag_of_what_expired_is_a_mismatch,
            atomicity::a_transaction_is_done,
            atomicity::nothing_is_done_when_one_fails,
            atomicity::the_last_operation_on_a_key_counts,
            atomicity::requirements_are_about_the_state_before,
            atomicity::no_operations_are_a_success,
            queries::values_are_found,
            queries::pages_are_complete,
            queries::other_prefixes_are_not_found,
            queries::what_expired_is_not_found,
            lists::keys_are_listed_in_their_order,
            lists::every_page_is_listed,
            lists::other_prefixes_are_not_listed,
            lists::what_expired_is_not_listed,
            limits::the_largest_fit,
            limits::more_is_refused,
            merges::two_nodes_converge,
            merges::what_is_read_is_what_users_write,
            merges::merges_of_another_kind_are_refused,
            merges::what_looks_like_one_is_not_set,
            merges::steps_are_made_in_their_order,
            merges::merges_keep_what_is_required,
            merges::a_merged_value_expires,
            concurrency::one_of_many_first_writes_wins,
            concurrency::increments_are_not_lost,
            concurrency::transfers_keep_the_sum,
        );
    };
    (@tests $subject:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if !<$subject as $crate::conformance::Subject>::is_available().await {
                    return;
                }
                let subject = <$subject as $crate::conformance::Subject>::open().await;
                $crate::conformance::$module::$name(&subject).await;
            }
        )+
    };
}

/// A wall clock that is moved by hand. It begins in 2026.
#[derive(Debug)]
pub struct ManualWallClock(AtomicU64);

impl ManualWallClock {
    /// Moves it forward.
    pub fn advance_ms(&self, by_ms: u64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Default for ManualWallClock {
    fn default() -> Self {
        Self(AtomicU64::new(1_770_000_000_000))
    }
}

impl WallClock for ManualWallClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

type State = Arc<dyn StateStore>;

async fn read(state: &State, key: &str) -> Option<Item> {
    let keys = [key.to_owned()];
    let items = state
        .get(&keys, Consistency::Strong)
        .await
        .expect("the key can be read");
    assert_eq!(items.len(), 1);
    items.into_iter().next().flatten()
}

async fn text(state: &State, key: &str) -> Option<String> {
    let item = read(state, key).await?;
    Some(String::from_utf8(item.value.to_vec()).expect("it is text"))
}

/// Sets what must succeed, and gives the new `ETag`.
async fn set(state: &State, set: Set) -> Etag {
    let key = set.key.clone();
    state.set(set).await.expect("the value is set");
    read(state, &key).await.expect("the value is there").etag
}

fn matching(key: &str, value: &'static str, etag: &Etag) -> Set {
    let mut set = Set::new(key, value);
    set.etag = Some(etag.clone());
    set
}

fn first(key: &str, value: &'static str) -> Set {
    let mut set = Set::new(key, value);
    set.concurrency = Concurrency::FirstWrite;
    set
}

fn lasting(key: &str, value: &'static str, seconds: u32) -> Set {
    let mut set = Set::new(key, value);
    set.time_to_live = Some(TimeToLive::seconds(NonZeroU32::new(seconds).unwrap()));
    set
}

fn assert_mismatch(outcome: Result<(), StateError>) {
    match outcome {
        Err(StateError::EtagMismatch { .. }) => {}
        other => panic!("a mismatch was due: {other:?}"),
    }
}
