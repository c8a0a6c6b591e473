//! Values that expire.

use super::{Subject, assert_mismatch, first, lasting, matching, read, set, text};
use crate::{Consistency, Set};

pub async fn a_value_expires(subject: &impl Subject) {
    let state = subject.state();
    set(&state, lasting("short", "1", 2)).await;
    set(&state, lasting("long", "2", 2_000)).await;
    set(&state, Set::new("ever", "3")).await;
    assert!(read(&state, "short").await.unwrap().expires_at_ms.is_some());
    assert!(read(&state, "ever").await.unwrap().expires_at_ms.is_none());
    subject.pass_seconds(3).await;
    let keys = ["short", "long", "ever"].map(str::to_owned);
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    let there: Vec<bool> = items.iter().map(Option::is_some).collect();
    assert_eq!(there, [false, true, true]);
}

pub async fn a_later_set_ends_the_time_to_live(subject: &impl Subject) {
    let state = subject.state();
    set(&state, lasting("k", "1", 2)).await;
    set(&state, Set::new("k", "2")).await;
    assert_eq!(read(&state, "k").await.unwrap().expires_at_ms, None);
    subject.pass_seconds(3).await;
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
}

pub async fn a_later_set_begins_it_anew(subject: &impl Subject) {
    let state = subject.state();
    set(&state, lasting("k", "1", 4)).await;
    subject.pass_seconds(2).await;
    set(&state, lasting("k", "2", 4)).await;
    subject.pass_seconds(3).await;
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
    subject.pass_seconds(2).await;
    assert_eq!(read(&state, "k").await, None);
}

pub async fn what_expired_does_not_exist(subject: &impl Subject) {
    let state = subject.state();
    set(&state, lasting("k", "1", 1)).await;
    assert_mismatch(state.set(first("k", "2")).await);
    subject.pass_seconds(2).await;
    state.set(first("k", "2")).await.unwrap();
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
}

pub async fn an_etag_of_what_expired_is_a_mismatch(subject: &impl Subject) {
    let state = subject.state();
    let etag = set(&state, lasting("k", "1", 1)).await;
    subject.pass_seconds(2).await;
    assert_mismatch(state.set(matching("k", "2", &etag)).await);
    assert_eq!(read(&state, "k").await, None);
}
