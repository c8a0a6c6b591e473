//! Values, without conditions.

use bytes::Bytes;

use super::{Subject, read, set, text};
use crate::{Consistency, Delete, Set};

pub async fn what_is_set_can_be_read(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("app||tea", "41")).await;
    assert_eq!(text(&state, "app||tea").await.as_deref(), Some("41"));
    set(&state, Set::new("app||tea", "40")).await;
    assert_eq!(text(&state, "app||tea").await.as_deref(), Some("40"));
}

pub async fn bytes_come_back_as_they_were(subject: &impl Subject) {
    let state = subject.state();
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for value in [
        Bytes::new(),
        Bytes::from(all),
        Bytes::from("null"),
        Bytes::from("\"text\""),
    ] {
        set(&state, Set::new("k", value.clone())).await;
        assert_eq!(read(&state, "k").await.unwrap().value, value);
    }
}

pub async fn what_is_not_there_is_nothing(subject: &impl Subject) {
    let state = subject.state();
    assert_eq!(read(&state, "nothing").await, None);
    state.delete(Delete::new("nothing")).await.unwrap();
    for consistency in [Consistency::Eventual, Consistency::Strong] {
        assert_eq!(state.get(&[], consistency).await.unwrap(), vec![]);
    }
}

pub async fn deletes_remove(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("k", "v")).await;
    state.delete(Delete::new("k")).await.unwrap();
    assert_eq!(read(&state, "k").await, None);
}

pub async fn the_content_type_is_kept(subject: &impl Subject) {
    let state = subject.state();
    let mut typed = Set::new("k", "<a/>");
    typed.content_type = Some("application/xml".to_owned());
    set(&state, typed).await;
    let item = read(&state, "k").await.unwrap();
    assert_eq!(item.content_type.as_deref(), Some("application/xml"));
    set(&state, Set::new("k", "plain")).await;
    assert_eq!(read(&state, "k").await.unwrap().content_type, None);
}

pub async fn many_are_read_in_their_order(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("a", "1")).await;
    set(&state, Set::new("b", "2")).await;
    let keys = ["b", "nothing", "a", "b"].map(str::to_owned);
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    let values: Vec<Option<&[u8]>> = items
        .iter()
        .map(|item| item.as_ref().map(|item| item.value.as_ref()))
        .collect();
    assert_eq!(
        values,
        [
            Some(b"2".as_slice()),
            None,
            Some(b"1".as_slice()),
            Some(b"2".as_slice())
        ]
    );
}

pub async fn bulk_sets_and_deletes(subject: &impl Subject) {
    let state = subject.state();
    let names: Vec<String> = (0..100).map(|number| format!("key {number}")).collect();
    let sets = names.iter().map(|name| Set::new(name, name.clone())).collect();
    state.bulk_set(sets).await.unwrap();
    let items = state.get(&names, Consistency::Strong).await.unwrap();
    for (name, item) in names.iter().zip(items) {
        assert_eq!(item.unwrap().value, name.as_bytes());
    }
    state
        .bulk_delete(names.iter().map(Delete::new).collect())
        .await
        .unwrap();
    let items = state.get(&names, Consistency::Strong).await.unwrap();
    assert!(items.iter().all(Option::is_none));
}

pub async fn keys_are_not_mixed_up(subject: &impl Subject) {
    let state = subject.state();
    let names = ["a", "A", "a/b", "a||b", "a ", "ä", "a\u{0}b", "%61", "a*"];
    for name in names {
        set(&state, Set::new(name, name)).await;
    }
    for name in names {
        assert_eq!(text(&state, name).await.as_deref(), Some(name));
    }
}
