//! What is read.

use super::{Subject, single, value};
use crate::SecretsError;
use crate::limits::MAX_SECRET_NAME_BYTES;

pub async fn a_secret_has_its_value_under_its_name<S: Subject>() {
    let subject = S::open(&[("DB_PASSWORD", "hunter2")]).await;
    assert_eq!(value(&subject, "DB_PASSWORD").await.unwrap(), "hunter2");
}

pub async fn any_text_comes_back<S: Subject>() {
    for text in ["", " ", "a\nb", "ü \"quoted\"", "{\"a\": 1}", "a=b"] {
        let subject = S::open(&[("NAME", text)]).await;
        assert_eq!(value(&subject, "NAME").await.unwrap(), text);
    }
}

pub async fn names_are_not_mixed_up<S: Subject>() {
    let subject = S::open(&[("A", "1"), ("AB", "2"), ("a", "3"), ("B", "4")]).await;
    for (name, expected) in [("A", "1"), ("AB", "2"), ("a", "3"), ("B", "4")] {
        assert_eq!(value(&subject, name).await.unwrap(), expected, "{name}");
    }
}

pub async fn what_is_not_there_is_not_found<S: Subject>() {
    let subject = S::open(&[("A", "1")]).await;
    for name in ["B", "AA", "/", "A/", "A:0"] {
        let missing = value(&subject, name).await;
        assert_eq!(missing, Err(SecretsError::NotFound(name.to_owned())));
    }
}

pub async fn names_have_a_size<S: Subject>() {
    let subject = S::open(&[("A", "1")]).await;
    assert_eq!(value(&subject, "").await, Err(SecretsError::InvalidName(0)));
    let long = "A".repeat(MAX_SECRET_NAME_BYTES + 1);
    assert_eq!(
        value(&subject, &long).await,
        Err(SecretsError::InvalidName(long.len()))
    );
}

pub async fn bulk_gives_all<S: Subject>() {
    let subject = S::open(&[("A", "1"), ("B", "2")]).await;
    let all = subject.secrets().bulk().await.unwrap();
    let shown: Vec<_> = all
        .iter()
        .map(|(name, secret)| (name.as_str(), single(name, secret)))
        .collect();
    assert_eq!(shown, [("A", "1".to_owned()), ("B", "2".to_owned())]);
}

pub async fn nothing_is_a_bulk_too<S: Subject>() {
    let subject = S::open(&[]).await;
    assert!(subject.secrets().bulk().await.unwrap().is_empty());
}

pub async fn values_are_never_shown<S: Subject>() {
    let subject = S::open(&[("A", "hunter2")]).await;
    let secrets = subject.secrets();
    let (secret, all) = (secrets.get("A").await.unwrap(), secrets.bulk().await.unwrap());
    let shown = format!("{secrets:?} {secret:?} {all:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
