use super::{Store, Subject, entry, invalidate, key, prefix, put, value};
use crate::Selection;

async fn fill(store: &Store, keys: &[&str]) {
    for key in keys {
        put(store, key, entry(key.to_string())).await;
    }
}

/// Which of the keys are there.
async fn left<'a>(store: &Store, keys: &[&'a str]) -> Vec<&'a str> {
    let mut left = Vec::new();
    for key in keys {
        if value(store, key).await.is_some() {
            left.push(*key);
        }
    }
    left
}

pub async fn of_a_key(subject: &impl Subject) {
    let (store, keys) = (subject.store(), ["a", "aa", "b"]);
    fill(&store, &keys).await;
    invalidate(&store, key("a")).await;
    assert_eq!(left(&store, &keys).await, ["aa", "b"]);
    put(&store, "a", entry("again")).await;
    assert_eq!(value(&store, "a").await, Some("again".into()));
}

pub async fn of_a_prefix(subject: &impl Subject) {
    let (store, keys) = (subject.store(), ["item/1", "item/2", "item", "items", "other"]);
    fill(&store, &keys).await;
    invalidate(&store, prefix("item/")).await;
    assert_eq!(left(&store, &keys).await, ["item", "items", "other"]);
    invalidate(&store, prefix("")).await;
    assert!(left(&store, &keys).await.is_empty());
}

pub async fn of_a_prefix_with_special_characters(subject: &impl Subject) {
    let (store, keys) = (
        subject.store(),
        ["a*b1", "axb1", "a?", "ab", "[a-c]x", "bx", "\\n", "^a", "n"],
    );
    fill(&store, &keys).await;
    for special in ["a*", "a?", "[a-c]", "\\", "^"] {
        invalidate(&store, prefix(special)).await;
    }
    assert_eq!(left(&store, &keys).await, ["axb1", "ab", "bx", "n"]);
}

pub async fn of_everything(subject: &impl Subject) {
    let (store, keys) = (subject.store(), ["a", "b", ""]);
    fill(&store, &keys).await;
    invalidate(&store, Selection::All).await;
    assert!(left(&store, &keys).await.is_empty());
    assert!(left(&subject.elsewhere(), &keys).await.is_empty());
    fill(&store, &keys[..1]).await;
    assert_eq!(left(&store, &keys).await, ["a"]);
}

pub async fn of_nothing_is_fine(subject: &impl Subject) {
    let store = subject.store();
    for selection in [key("a"), prefix("a"), Selection::All] {
        invalidate(&store, selection).await;
    }
    put(&store, "a", entry("1")).await;
    assert_eq!(value(&store, "a").await, Some("1".into()));
}

pub async fn by_another(subject: &impl Subject) {
    let (store, elsewhere) = (subject.store(), subject.elsewhere());
    let keys = ["a", "p/1", "b"];
    fill(&store, &keys).await;
    invalidate(&elsewhere, key("a")).await;
    assert_eq!(left(&store, &keys).await, ["p/1", "b"]);
    invalidate(&elsewhere, prefix("p/")).await;
    assert_eq!(left(&store, &keys).await, ["b"]);
    invalidate(&elsewhere, Selection::All).await;
    assert!(left(&store, &keys).await.is_empty());
}

pub async fn of_many_keys(subject: &impl Subject) {
    let store = subject.store();
    for index in 0..3_000 {
        put(&store, &format!("many/{index}"), entry("1")).await;
    }
    put(&store, "one", entry("1")).await;
    invalidate(&store, prefix("many/")).await;
    for index in 0..3_000 {
        assert_eq!(value(&store, &format!("many/{index}")).await, None, "{index}");
    }
    assert!(value(&store, "one").await.is_some());
}
