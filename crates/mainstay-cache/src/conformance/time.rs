use std::time::Duration;

use bytes::Bytes;

use super::{Store, Subject, entry, look, put, value};
use crate::{Entry, Lifetime};

const A_MOMENT: Duration = Duration::from_millis(40);

fn lasting(text: &'static str, ttl: Duration, stale: Duration) -> Entry<Bytes> {
    Entry {
        lifetime: Lifetime { ttl, stale },
        ..entry(text)
    }
}

/// The age that a store may tell for this one: it may count in milliseconds.
fn rounded(age: Duration) -> Duration {
    age.saturating_sub(Duration::from_millis(1))
}

async fn age(store: &Store, key: &str) -> Duration {
    look(store, key).await.entry.expect("it is there").age
}

pub async fn an_entry_ages_from_what_it_was(subject: &impl Subject) {
    let (store, elsewhere) = (subject.store(), subject.elsewhere());
    let old = Entry {
        age: Duration::from_secs(60),
        ..entry("1")
    };
    put(&store, "a", old).await;
    let before = age(&store, "a").await;
    assert!(
        before >= rounded(Duration::from_secs(60)) && before < Duration::from_secs(120),
        "{before:?}"
    );
    subject.pass(A_MOMENT).await;
    let after = age(&elsewhere, "a").await;
    assert!(after >= rounded(before + A_MOMENT), "{before:?} {after:?}");
}

pub async fn an_expired_entry_is_not_found(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "a", lasting("1", A_MOMENT / 2, A_MOMENT / 2)).await;
    subject.pass(A_MOMENT).await;
    assert_eq!(value(&store, "a").await, None);
    assert_eq!(value(&subject.elsewhere(), "a").await, None);
}

pub async fn a_short_life_ends_before_a_long_one(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "short", lasting("1", A_MOMENT, Duration::ZERO)).await;
    put(&store, "stale", lasting("2", A_MOMENT, Duration::from_secs(600))).await;
    put(&store, "replaced", lasting("3", A_MOMENT, Duration::ZERO)).await;
    put(&store, "replaced", entry("4")).await;
    subject.pass(A_MOMENT).await;
    assert_eq!(value(&store, "short").await, None);
    assert!(age(&store, "stale").await >= rounded(A_MOMENT));
    assert_eq!(value(&store, "replaced").await, Some("4".into()));
}

pub async fn what_is_too_old_is_never_found(subject: &impl Subject) {
    let store = subject.store();
    let fence = look(&store, "a").await.fence;
    let dead = Entry {
        age: A_MOMENT,
        ..lasting("1", A_MOMENT, Duration::ZERO)
    };
    store.put("a", dead, fence).await.expect("it is no error");
    assert_eq!(value(&store, "a").await, None);
}
