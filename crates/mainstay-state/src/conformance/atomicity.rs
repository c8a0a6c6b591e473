//! Several operations at once.

use super::{Subject, assert_mismatch, first, matching, read, set, text};
use crate::{Delete, Operation, Set};

pub async fn a_transaction_is_done(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("old", "1")).await;
    let operations = vec![
        Operation::Set(Set::new("a", "1")),
        Operation::Delete(Delete::new("old")),
        Operation::Set(Set::new("b", "2")),
    ];
    state.transact(operations).await.unwrap();
    assert_eq!(text(&state, "a").await.as_deref(), Some("1"));
    assert_eq!(text(&state, "b").await.as_deref(), Some("2"));
    assert_eq!(read(&state, "old").await, None);
}

pub async fn nothing_is_done_when_one_fails(subject: &impl Subject) {
    let state = subject.state();
    let old = set(&state, Set::new("guarded", "1")).await;
    set(&state, Set::new("guarded", "2")).await;
    let failing = || Operation::Set(matching("guarded", "3", &old));
    let harmless = || Operation::Set(Set::new("a", "1"));
    for operations in [vec![harmless(), failing()], vec![failing(), harmless()]] {
        assert_mismatch(state.transact(operations).await);
        assert_eq!(read(&state, "a").await, None);
        assert_eq!(text(&state, "guarded").await.as_deref(), Some("2"));
    }
}

pub async fn the_last_operation_on_a_key_counts(subject: &impl Subject) {
    let state = subject.state();
    let put = |value: &'static str| Operation::Set(Set::new("k", value));
    let remove = || Operation::Delete(Delete::new("k"));
    state.transact(vec![put("1"), remove(), put("2")]).await.unwrap();
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
    state.transact(vec![put("3"), remove()]).await.unwrap();
    assert_eq!(read(&state, "k").await, None);
}

pub async fn requirements_are_about_the_state_before(subject: &impl Subject) {
    let state = subject.state();
    let twice = || vec![Operation::Set(first("k", "1")), Operation::Set(first("k", "2"))];
    state.transact(twice()).await.unwrap();
    assert_eq!(text(&state, "k").await.as_deref(), Some("2"));
    assert_mismatch(state.transact(twice()).await);
}

pub async fn no_operations_are_a_success(subject: &impl Subject) {
    let state = subject.state();
    state.transact(Vec::new()).await.unwrap();
    state.bulk_set(Vec::new()).await.unwrap();
    state.bulk_delete(Vec::new()).await.unwrap();
}
