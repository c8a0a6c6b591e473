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

pub mod reads;
pub mod subscriptions;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{Changes, ConfigurationStore, Items, Metadata, Subscription};

/// A component under test, empty at first.
pub trait Subject: Sized {
    /// Whether what it needs is installed here; where it is not, its tests are skipped.
    fn available() -> bool {
        true
    }

    /// An empty component.
    fn open() -> impl Future<Output = Self>;

    /// The component.
    fn configuration(&self) -> Arc<dyn ConfigurationStore>;

    /// What a client sends with a subscription.
    fn subscription_metadata(&self) -> Metadata {
        Metadata::new()
    }

    /// Gives a key a value, as who operates the system does.
    fn set(&self, key: &str, value: &str) -> impl Future<Output = ()>;

    /// Removes a key.
    fn delete(&self, key: &str) -> impl Future<Output = ()>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            reads::what_is_set_is_read,
            reads::what_is_not_there_is_left_out,
            reads::all_are_read_when_none_is_named,
            reads::a_deleted_key_is_gone,
            reads::any_text_comes_back,
            reads::more_keys_than_allowed_are_refused,
            subscriptions::a_change_is_told,
            subscriptions::a_deletion_is_told,
            subscriptions::a_new_key_is_told,
            subscriptions::other_keys_are_not_told,
            subscriptions::all_keys_are_told_when_none_is_named,
            subscriptions::what_was_before_is_not_told,
            subscriptions::the_latest_value_is_never_missed,
            subscriptions::a_dropped_wait_loses_nothing,
            subscriptions::subscriptions_are_independent,
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

/// An event that does not come within this time does not come.
const DEADLINE: Duration = Duration::from_secs(20);

async fn get(subject: &impl Subject, keys: &[&str]) -> Items {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    subject.configuration().get(&keys).await.unwrap()
}

async fn subscribe(subject: &impl Subject, keys: &[&str]) -> Subscription {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let metadata = subject.subscription_metadata();
    subject.configuration().subscribe(keys, &metadata).await.unwrap()
}

async fn changed(subscription: &mut Subscription) -> Changes {
    let changes = tokio::time::timeout(DEADLINE, subscription.changed()).await;
    changes.expect("a change was due").unwrap()
}

/// The values of items, or of changes.
fn values(items: &Items) -> Vec<(&str, &str)> {
    let values = items
        .iter()
        .map(|(key, item)| (key.as_str(), item.value.as_str()));
    values.collect()
}

fn changed_values(changes: &Changes) -> Vec<(&str, Option<&str>)> {
    let values = changes
        .iter()
        .map(|(key, item)| (key.as_str(), item.as_ref().map(|item| item.value.as_str())));
    values.collect()
}
