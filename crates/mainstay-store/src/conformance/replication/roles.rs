//! One side writes.

use std::sync::Arc;

use super::{ReplicationSubject, changes_with_end, commit, entries, follow, name, present, refused, replica};
use crate::batch::Batch;
use crate::conformance::{key, put, text, value};
use crate::error::CommitError;
use crate::port::Store;
use crate::replication::{Committed, Portion, Role};
use crate::version::Version;

fn committed(version: u64, name: &str, text: Option<&str>) -> Committed {
    Committed {
        version: Version::from_u64(version),
        writes: vec![(key(name), text.map(value))],
        token: None,
    }
}

pub async fn a_new_store_is_a_primary(source: &mut impl ReplicationSubject, _: &mut impl ReplicationSubject) {
    let store = source.replicated();
    assert_eq!(store.role().await, Ok(Role::Primary));
    commit(&store, put("a", "1")).await;
    let before = entries(&store).await;
    assert_eq!(
        store.apply(&[committed(5, "a", Some("2"))]).await,
        Err(CommitError::Primary)
    );
    assert_eq!(store.copy(Portion::default()).await, Err(CommitError::Primary));
    assert_eq!(entries(&store).await, before);
}

pub async fn a_replica_takes_no_commits(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let version = commit(&store, put("a", "1")).await;
    let last = store.demote().await.unwrap();
    assert!(last >= version);
    assert_eq!(store.role().await, Ok(Role::Replica));
    refused(&store, put("a", "2")).await;
    let mut impossible = put("a", "2");
    impossible.require_version(key("a"), None);
    refused(&store, impossible).await;
    let plain: Arc<dyn Store> = store.clone();
    assert_eq!(text(&plain, "a").await.as_deref(), Some("1"), "it can be read");

    store.promote(last).await.unwrap();
    assert_eq!(store.role().await, Ok(Role::Primary));
    assert!(commit(&store, put("a", "2")).await > last);
}

pub async fn roles_outlive_restarts(source: &mut impl ReplicationSubject, _: &mut impl ReplicationSubject) {
    for round in 0..3 {
        let version = commit(&source.replicated(), put("a", &round.to_string())).await;
        let last = source.replicated().demote().await.unwrap();
        source.restart().await;
        let store = source.replicated();
        assert_eq!(store.role().await, Ok(Role::Replica));
        refused(&store, put("a", "refused")).await;
        assert!(last >= version);
        store.promote(last).await.unwrap();
        drop(store);
        source.restart().await;
        assert_eq!(source.replicated().role().await, Ok(Role::Primary));
    }
}

/// Writers go on while the store is demoted: all that they were promised is in the line, up to its last version.
pub async fn nothing_is_accepted_after_the_last_version(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("copy");
    for round in 0..5 {
        let start = follow(&store, &follower).await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let store = store.clone();
            writers.spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    let number = accepted.len();
                    let batch = put(&format!("{writer}"), &format!("{round} {number}"));
                    match store.commit(batch).await {
                        Ok(commit) => accepted.push(commit.version),
                        Err(CommitError::Replica) => return accepted,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        // Some commits are certainly under way.
        let mut watch = store.watch(bytes::Bytes::new());
        for _ in 0..3 {
            watch.changed().await.unwrap();
        }
        let last = store.demote().await.unwrap();
        let mut accepted: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        accepted.sort();
        assert!(!accepted.is_empty());
        assert!(accepted.last().is_some_and(|version| *version <= last));
        let (found, end) = changes_with_end(&store, &follower, start).await;
        let found: Vec<_> = found.iter().map(|commit| commit.version).collect();
        assert_eq!(found, accepted, "round {round}");
        assert!(end >= last, "who asks for changes comes to the end");
        store.confirm(&follower, end).await.unwrap();
        store.promote(last).await.unwrap();
    }
}

pub async fn versions_go_on_after_a_promotion(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    // Far ahead of every clock here, each time for another reason, and each followed by a restart.
    let far = |step: u64| (1 << 61) + (step << 40);
    let mut last = Version::ZERO;
    for (step, is_restarted) in [(0, false), (1, true), (2, false), (3, true)] {
        let store = replica(target).await;
        let after = Version::from_u64(far(10 * step + 1));
        store.promote(after).await.unwrap();
        drop(store);
        if is_restarted {
            target.restart().await;
        }
        let version = commit(&target.replicated(), put("given", "1")).await;
        assert!(
            version > after && version > last,
            "step {step}: above what was given"
        );
        last = version;

        let store = replica(target).await;
        let applied = far(10 * step + 2);
        let commits = [
            committed(applied, "held", Some("1")),
            // Nothing is left that tells this version.
            committed(applied + 5, "held", None),
        ];
        store.apply(&commits).await.unwrap();
        drop(store);
        if is_restarted {
            target.restart().await;
        }
        let store = target.replicated();
        assert!(present(&store).await >= Version::from_u64(applied + 5));
        store.promote(Version::ZERO).await.unwrap();
        drop(store);
        if is_restarted {
            target.restart().await;
        }
        let version = commit(&target.replicated(), put("given", "2")).await;
        assert!(version.as_u64() > applied + 5, "step {step}: above what it held");
        last = last.max(version);

        let store = replica(target).await;
        let copied = committed(far(10 * step + 3), "copied", Some("1"));
        let entry = crate::port::Entry {
            key: key("copied"),
            value: value("1"),
            version: copied.version,
        };
        let portion = Portion {
            entries: vec![entry],
            tokens: Vec::new(),
        };
        store.copy(portion).await.unwrap();
        store.promote(Version::ZERO).await.unwrap();
        drop(store);
        if is_restarted {
            target.restart().await;
        }
        let mut delete = Batch::new();
        delete.delete(key("copied"));
        let version = commit(&target.replicated(), delete).await;
        assert!(version > copied.version, "step {step}: above what was copied");
        last = last.max(version);
    }
}

pub async fn changing_roles_once_more_changes_nothing(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let version = commit(&store, put("a", "1")).await;
    store.promote(Version::ZERO).await.unwrap();
    assert_eq!(store.role().await, Ok(Role::Primary));
    let follower = name("copy");
    let start = follow(&store, &follower).await;
    let last = store.demote().await.unwrap();
    let again = store.demote().await.unwrap();
    assert_eq!(again, last);
    assert!(last >= version);
    for _ in 0..2 {
        store.promote(last).await.unwrap();
    }
    let batch = put("a", "2");
    let version = commit(&store, batch.clone()).await;
    assert!(version > last);
    store.promote(last).await.unwrap();
    let (found, _) = changes_with_end(&store, &follower, start).await;
    assert_eq!(found, [super::as_change(&batch, version)], "roles are no changes");
    assert!(commit(&store, put("a", "3")).await > version);
}
