//! What every component has to pass: tests for each rule of the port.
//!
//! A component's tests call [`conformance_suite!`](crate::conformance_suite) with a [`Subject`].

// These are assertions that other crates' tests run.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, though compiled as a library for the tests of components"
)]

pub mod concurrency;
pub mod limits;
pub mod locks;
pub mod time;

use std::future::Future;
use std::sync::Arc;

use crate::{Expiry, FencingToken, LockStore, Renewal, TryLock, Unlock};

/// A component under test, with nothing locked at first.
pub trait Subject: Sized {
    /// Whether what it needs is installed here; where it is not, its tests are skipped.
    fn available() -> bool {
        true
    }

    /// An empty component.
    fn open() -> impl Future<Output = Self>;

    /// The component.
    fn locks(&self) -> Arc<dyn LockStore>;

    /// Lets time pass, by which locks expire.
    fn pass_seconds(&self, seconds: u32) -> impl Future<Output = ()>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            locks::a_free_lock_is_granted,
            locks::a_held_lock_is_not_granted,
            locks::the_owner_is_not_granted_it_twice,
            locks::an_unlocked_lock_is_granted_again,
            locks::only_the_owner_unlocks,
            locks::what_nobody_holds_cannot_be_unlocked,
            locks::resources_are_independent,
            locks::tokens_grow,
            time::a_lock_expires,
            time::what_expired_belongs_to_nobody,
            time::a_renewed_lock_lasts_longer,
            time::a_renewal_may_shorten,
            time::a_new_grant_ends_old_renewals,
            time::only_the_owner_renews,
            time::tokens_grow_past_an_expiry,
            limits::the_longest_names_fit,
            limits::more_is_refused,
            concurrency::one_of_many_is_granted,
            concurrency::holders_exclude_each_other,
        );
    };
    (@tests $subject:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if !<$subject as $crate::conformance::Subject>::available() {
                    return;
                }
                let subject = <$subject as $crate::conformance::Subject>::open().await;
                $crate::conformance::$module::$name(&subject).await;
            }
        )+
    };
}

type Locks = Arc<dyn LockStore>;

fn seconds(seconds: i32) -> Expiry {
    Expiry::from_seconds(seconds).unwrap()
}

async fn try_lock(locks: &Locks, resource: &str, owner: &str, expiry: i32) -> Option<FencingToken> {
    let request = TryLock {
        resource: resource.to_owned(),
        owner: owner.to_owned(),
        expiry: seconds(expiry),
    };
    locks.try_lock(&request).await.expect("the component answers")
}

async fn unlock(locks: &Locks, resource: &str, owner: &str) -> Unlock {
    locks
        .unlock(resource, owner)
        .await
        .expect("the component answers")
}

async fn renew(locks: &Locks, resource: &str, owner: &str, expiry: i32) -> Renewal {
    let renewal = locks.renew(resource, owner, seconds(expiry)).await;
    renewal.expect("the component answers")
}
