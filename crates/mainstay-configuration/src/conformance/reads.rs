//! What is read.

use super::{Subject, get, values};
use crate::ConfigurationError;
use crate::limits::MAX_KEYS;

pub async fn what_is_set_is_read(subject: &impl Subject) {
    subject.set("a", "1").await;
    assert_eq!(values(&get(subject, &["a"]).await), [("a", "1")]);
    subject.set("a", "2").await;
    assert_eq!(values(&get(subject, &["a"]).await), [("a", "2")]);
}

pub async fn what_is_not_there_is_left_out(subject: &impl Subject) {
    subject.set("a", "1").await;
    assert_eq!(values(&get(subject, &["b", "a", "A"]).await), [("a", "1")]);
    assert!(get(subject, &["b"]).await.is_empty());
}

pub async fn all_are_read_when_none_is_named(subject: &impl Subject) {
    assert!(get(subject, &[]).await.is_empty());
    for key in ["a", "b", "c"] {
        subject.set(key, key).await;
    }
    assert_eq!(
        values(&get(subject, &[]).await),
        [("a", "a"), ("b", "b"), ("c", "c")]
    );
}

pub async fn a_deleted_key_is_gone(subject: &impl Subject) {
    subject.set("a", "1").await;
    subject.delete("a").await;
    assert!(get(subject, &["a"]).await.is_empty());
    assert!(get(subject, &[]).await.is_empty());
}

pub async fn any_text_comes_back(subject: &impl Subject) {
    // PostgreSQL notifies of no more than 8,000 bytes.
    let long = "x".repeat(6_000);
    for value in [
        " ",
        "a b\nc",
        "{\"a\": \"ü\"}",
        "'; DROP TABLE x; --",
        "a|b",
        &long,
    ] {
        subject.set("a.b_c/d", value).await;
        assert_eq!(values(&get(subject, &["a.b_c/d"]).await), [("a.b_c/d", value)]);
    }
}

pub async fn more_keys_than_allowed_are_refused(subject: &impl Subject) {
    let keys: Vec<String> = (0..=MAX_KEYS).map(|key| key.to_string()).collect();
    let configuration = subject.configuration();
    let too_many = ConfigurationError::TooManyKeys(keys.len());
    assert_eq!(configuration.get(&keys).await, Err(too_many.clone()));
    let metadata = subject.subscription_metadata();
    let refused = configuration.subscribe(keys, &metadata).await;
    assert_eq!(refused.unwrap_err(), too_many);
    let nameless = configuration.get(&[String::new()]).await;
    assert_eq!(nameless, Err(ConfigurationError::InvalidKey(String::new())));
}
