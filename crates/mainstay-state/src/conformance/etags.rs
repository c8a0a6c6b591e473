//! `ETag`s and who wins.

use super::{Subject, assert_mismatch, first, matching, read, set, text};
use crate::{Concurrency, Delete, Etag, Set, StateError};

fn delete(key: &str, etag: &Etag) -> Delete {
    let mut delete = Delete::new(key);
    delete.etag = Some(etag.clone());
    delete
}

pub async fn every_set_gives_a_new_one(subject: &impl Subject) {
    let state = subject.state();
    let before = set(&state, Set::new("k", "same")).await;
    let after = set(&state, Set::new("k", "same")).await;
    assert_ne!(before, after);
    state.delete(Delete::new("k")).await.unwrap();
    let anew = set(&state, Set::new("k", "same")).await;
    assert!(anew != before && anew != after);
}

pub async fn a_set_with_the_etag_succeeds_once(subject: &impl Subject) {
    let state = subject.state();
    let etag = set(&state, Set::new("k", "1")).await;
    state.set(matching("k", "2", &etag)).await.unwrap();
    assert_mismatch(state.set(matching("k", "3", &etag)).await);
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
}

pub async fn a_delete_with_the_etag_succeeds_once(subject: &impl Subject) {
    let state = subject.state();
    let old = set(&state, Set::new("k", "1")).await;
    let etag = set(&state, Set::new("k", "2")).await;
    assert_mismatch(state.delete(delete("k", &old)).await);
    state.delete(delete("k", &etag)).await.unwrap();
    assert_mismatch(state.delete(delete("k", &etag)).await);
}

pub async fn an_etag_of_nothing_is_a_mismatch(subject: &impl Subject) {
    let state = subject.state();
    let other = set(&state, Set::new("other", "1")).await;
    assert_mismatch(state.set(matching("k", "2", &other)).await);
    assert_eq!(read(&state, "k").await, None);
}

pub async fn an_etag_outlives_its_value_as_a_mismatch(subject: &impl Subject) {
    let state = subject.state();
    let etag = set(&state, Set::new("k", "1")).await;
    state.delete(Delete::new("k")).await.unwrap();
    assert_mismatch(state.set(matching("k", "2", &etag)).await);
    set(&state, Set::new("k", "1")).await;
    assert_mismatch(state.set(matching("k", "2", &etag)).await);
}

pub async fn a_malformed_etag_is_refused<S: Subject>(subject: &S) {
    let state = subject.state();
    set(&state, Set::new("k", "1")).await;
    let etag = Etag::new(S::malformed_etag().unwrap_or("not an etag")).unwrap();
    for outcome in [
        state.set(matching("k", "2", &etag)).await,
        state.delete(delete("k", &etag)).await,
    ] {
        if S::malformed_etag().is_some() {
            assert!(matches!(outcome, Err(StateError::InvalidEtag(_))), "{outcome:?}");
        } else {
            assert_mismatch(outcome);
        }
    }
    assert_eq!(text(&state, "k").await.as_deref(), Some("1"));
}

pub async fn the_first_write_wins(subject: &impl Subject) {
    let state = subject.state();
    state.set(first("k", "1")).await.unwrap();
    assert_mismatch(state.set(first("k", "2")).await);
    let mut delete = Delete::new("k");
    delete.concurrency = Concurrency::FirstWrite;
    assert_mismatch(state.delete(delete).await);
    assert_eq!(text(&state, "k").await.as_deref(), Some("1"));
    state.delete(Delete::new("k")).await.unwrap();
    state.set(first("k", "3")).await.unwrap();
}

pub async fn first_write_with_an_etag(subject: &impl Subject) {
    let state = subject.state();
    let etag = set(&state, Set::new("k", "1")).await;
    let mut second = first("k", "2");
    second.etag = Some(etag);
    state.set(second.clone()).await.unwrap();
    assert_mismatch(state.set(second).await);
}

pub async fn the_last_write_wins(subject: &impl Subject) {
    let state = subject.state();
    for value in ["1", "2", "3"] {
        state.set(Set::new("k", value)).await.unwrap();
    }
    assert_eq!(text(&state, "k").await.as_deref(), Some("3"));
}
