//! What is told.

use super::{Subject, changed, changed_values, subscribe};

pub async fn a_change_is_told(subject: &impl Subject) {
    subject.set("a", "1").await;
    let mut subscription = subscribe(subject, &["a"]).await;
    for value in ["2", "3"] {
        subject.set("a", value).await;
        let changes = changed(&mut subscription).await;
        assert_eq!(changed_values(&changes), [("a", Some(value))]);
    }
}

pub async fn a_deletion_is_told(subject: &impl Subject) {
    subject.set("a", "1").await;
    let mut subscription = subscribe(subject, &["a"]).await;
    subject.delete("a").await;
    assert_eq!(changed_values(&changed(&mut subscription).await), [("a", None)]);
    subject.set("a", "1").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("a", Some("1"))]
    );
}

pub async fn a_new_key_is_told(subject: &impl Subject) {
    let mut subscription = subscribe(subject, &["a"]).await;
    subject.set("a", "1").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("a", Some("1"))]
    );
}

pub async fn other_keys_are_not_told(subject: &impl Subject) {
    let mut subscription = subscribe(subject, &["b"]).await;
    for key in ["a", "bb", "B"] {
        subject.set(key, "1").await;
    }
    subject.set("b", "1").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("b", Some("1"))]
    );
}

pub async fn all_keys_are_told_when_none_is_named(subject: &impl Subject) {
    subject.set("a", "1").await;
    subject.set("b", "1").await;
    let mut subscription = subscribe(subject, &[]).await;
    subject.set("c", "1").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("c", Some("1"))]
    );
    subject.delete("a").await;
    assert_eq!(changed_values(&changed(&mut subscription).await), [("a", None)]);
    subject.set("b", "2").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("b", Some("2"))]
    );
}

pub async fn what_was_before_is_not_told(subject: &impl Subject) {
    for value in ["1", "2", "3"] {
        subject.set("a", value).await;
    }
    subject.delete("a").await;
    subject.set("a", "4").await;
    let mut subscription = subscribe(subject, &["a", "b"]).await;
    subject.set("b", "5").await;
    assert_eq!(
        changed_values(&changed(&mut subscription).await),
        [("b", Some("5"))]
    );
}

/// However many changes come while nobody looks, few are told, and the last one is.
pub async fn the_latest_value_is_never_missed(subject: &impl Subject) {
    let mut subscription = subscribe(subject, &["a", "b"]).await;
    for value in 0..200 {
        subject.set("a", &value.to_string()).await;
    }
    subject.set("b", "last").await;
    let (mut told, mut a, mut b) = (0, None, None);
    while a.as_deref() != Some("199") || b.as_deref() != Some("last") {
        for (key, value) in changed_values(&changed(&mut subscription).await) {
            let seen = if key == "a" { &mut a } else { &mut b };
            *seen = value.map(str::to_owned);
        }
        told += 1;
        assert!(told <= 201, "no change is told twice");
    }
}

pub async fn a_dropped_wait_loses_nothing(subject: &impl Subject) {
    let mut subscription = subscribe(subject, &["a"]).await;
    for value in 0..50 {
        let value = value.to_string();
        let wait = async {
            tokio::select! {
                biased;
                changes = subscription.changed() => Some(changes.unwrap()),
                () = tokio::task::yield_now() => None,
            }
        };
        let (told, ()) = tokio::join!(wait, subject.set("a", &value));
        let changes = match told {
            Some(changes) => changes,
            None => changed(&mut subscription).await,
        };
        assert_eq!(changed_values(&changes), [("a", Some(value.as_str()))]);
    }
}

pub async fn subscriptions_are_independent(subject: &impl Subject) {
    let mut first = subscribe(subject, &["a"]).await;
    let mut second = subscribe(subject, &["a", "b"]).await;
    subject.set("a", "1").await;
    assert_eq!(changed_values(&changed(&mut first).await), [("a", Some("1"))]);
    assert_eq!(changed_values(&changed(&mut second).await), [("a", Some("1"))]);
    drop(first);
    subject.set("b", "2").await;
    assert_eq!(changed_values(&changed(&mut second).await), [("b", Some("2"))]);
}
