//! Committing again is harmless with a token.

use super::{Subject, commit, conflict, key, put, text};
use crate::batch::{Batch, Token};

fn with_token(mut batch: Batch, token: &'static str) -> Batch {
    batch.set_token(Token::new(token).unwrap());
    batch
}

pub async fn a_token_commits_once(subject: &mut impl Subject) {
    let store = subject.store();
    let version = commit(&store, with_token(put("a", "1"), "one")).await;
    commit(&store, put("a", "2")).await;
    let mut again = with_token(put("a", "3"), "one");
    again.require_version(key("a"), None);
    let again = store.commit(again).await.unwrap();
    assert_eq!((again.version, again.replayed), (version, true));
    assert_eq!(text(&store, "a").await.as_deref(), Some("2"));
    commit(&store, with_token(put("a", "4"), "two")).await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("4"));
}

pub async fn a_token_outlives_a_restart(subject: &mut impl Subject) {
    let version = commit(&subject.store(), with_token(put("a", "1"), "one")).await;
    subject.restart().await;
    let store = subject.store();
    let again = store.commit(with_token(put("a", "2"), "one")).await.unwrap();
    assert_eq!((again.version, again.replayed), (version, true));
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
}

pub async fn a_conflict_does_not_use_up_a_token(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("a", "1")).await;
    let mut batch = with_token(put("b", "1"), "one");
    batch.require_version(key("a"), None);
    conflict(&store, batch).await;
    commit(&store, with_token(put("b", "2"), "one")).await;
    assert_eq!(text(&store, "b").await.as_deref(), Some("2"));
}

pub async fn many_at_once_commit_once(subject: &mut impl Subject) {
    let store = subject.store();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            let batch = with_token(put("a", &caller.to_string()), "one");
            store.commit(batch).await.unwrap()
        });
    }
    let commits = tasks.join_all().await;
    let first: Vec<_> = commits.iter().filter(|commit| !commit.replayed).collect();
    assert_eq!(first.len(), 1);
    assert!(commits.iter().all(|commit| commit.version == first[0].version));
}
