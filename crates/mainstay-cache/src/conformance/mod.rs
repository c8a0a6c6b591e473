//! What every store of cached values has to pass: tests for each rule of the port.
//!
//! A store's tests call [`conformance_suite!`](crate::conformance_suite) with a [`Subject`].

// These are assertions that tests run.
#![expect(
    clippy::expect_used,
    missing_docs,
    reason = "tests, though compiled as a library for the tests of adapters"
)]

pub mod basics;
pub mod concurrency;
pub mod fences;
pub mod invalidation;
pub mod time;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{CacheStore, Entry, Fence, Lifetime, Lookup, Selection};

/// A store under test, empty at first.
pub trait Subject: Sized {
    /// An empty store; `None` when it cannot be tested here, which the subject says.
    fn open() -> impl Future<Output = Option<Self>>;

    /// The store.
    fn store(&self) -> Store;

    /// The same store as another process sees it; the very same where no other process can.
    fn elsewhere(&self) -> Store;

    /// Lets time pass.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            basics::nothing_is_found_where_nothing_was_put,
            basics::what_was_put_is_found,
            basics::the_last_put_counts,
            basics::any_key_and_any_value,
            basics::others_find_it_too,
            time::an_entry_ages_from_what_it_was,
            time::an_expired_entry_is_not_found,
            time::a_short_life_ends_before_a_long_one,
            time::what_is_too_old_is_never_found,
            invalidation::of_a_key,
            invalidation::of_a_prefix,
            invalidation::of_a_prefix_with_special_characters,
            invalidation::of_everything,
            invalidation::of_nothing_is_fine,
            invalidation::by_another,
            invalidation::of_many_keys,
            fences::stay_while_nothing_is_invalidated,
            fences::change_with_what_covers_the_key,
            fences::refuse_what_was_loaded_before_an_invalidation,
            fences::refuse_what_was_loaded_before_an_invalidation_elsewhere,
            fences::keep_what_was_loaded_after_it,
            fences::do_not_care_for_other_keys,
            concurrency::nothing_older_than_an_invalidation_is_found,
        );
    };
    (@tests $subject:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(subject) = <$subject as $crate::conformance::Subject>::open().await {
                    $crate::conformance::$module::$name(&subject).await;
                }
            }
        )+
    };
}

type Store = Arc<dyn CacheStore<Bytes>>;

/// Long enough that nothing expires during a test.
const LONG: Lifetime = Lifetime {
    ttl: Duration::from_secs(600),
    stale: Duration::from_secs(600),
};

fn entry(value: impl Into<Bytes>) -> Entry<Bytes> {
    Entry {
        value: value.into(),
        lifetime: LONG,
        age: Duration::ZERO,
        salt: 7,
    }
}

async fn look(store: &Store, key: &str) -> Lookup<Bytes> {
    let lookup = store.get(key).await;
    assert_eq!(lookup.failure, None, "{key:?}");
    lookup
}

async fn value(store: &Store, key: &str) -> Option<Bytes> {
    Some(look(store, key).await.entry?.value)
}

async fn fence(store: &Store, key: &str) -> Fence {
    look(store, key).await.fence
}

/// Puts with the fence of a look just before.
async fn put(store: &Store, key: &str, entry: Entry<Bytes>) {
    // The very first put of a store may find that something has just begun; nothing else happens in these tests.
    let fence = fence(store, key).await;
    let stored = store.put(key, entry, fence).await;
    assert_eq!(stored, Ok(true), "{key:?}");
}

async fn invalidate(store: &Store, selection: Selection) {
    let done = store.invalidate(&selection).await;
    assert_eq!(done, Ok(()), "{selection:?}");
}

fn key(text: &str) -> Selection {
    Selection::Key(text.to_owned())
}

fn prefix(text: &str) -> Selection {
    Selection::Prefix(text.to_owned())
}
