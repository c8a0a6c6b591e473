use bytes::Bytes;

use super::{LONG, Subject, entry, look, put, value};

pub async fn nothing_is_found_where_nothing_was_put(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "a", entry("1")).await;
    for key in ["", "b", "a ", "A", "aa"] {
        assert_eq!(value(&store, key).await, None, "{key:?}");
    }
}

pub async fn what_was_put_is_found(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "a", entry("1")).await;
    let found = look(&store, "a").await.entry.expect("it is there");
    assert_eq!(found.value, "1");
    assert_eq!((found.lifetime, found.salt), (LONG, 7));
}

pub async fn the_last_put_counts(subject: &impl Subject) {
    let store = subject.store();
    for text in ["1", "2", "3"] {
        put(&store, "a", entry(text)).await;
    }
    assert_eq!(value(&store, "a").await, Some("3".into()));
}

pub async fn any_key_and_any_value(subject: &impl Subject) {
    let store = subject.store();
    let long = "k".repeat(8_192);
    let keys = ["", " ", "a:b", "a\nb\0c", "*?[a-z]\\", "ключ", "%3A", &long];
    let text = |index: usize| Bytes::from(vec![index as u8; index * 10_000]);
    for (index, key) in keys.into_iter().enumerate() {
        put(&store, key, entry(text(index))).await;
    }
    for (index, key) in keys.into_iter().enumerate() {
        assert_eq!(value(&store, key).await, Some(text(index)), "{key:?}");
    }
}

pub async fn others_find_it_too(subject: &impl Subject) {
    put(&subject.store(), "a", entry("1")).await;
    assert_eq!(value(&subject.elsewhere(), "a").await, Some("1".into()));
}
