//! What is told to followers.

use std::sync::Arc;

use super::{
    ReplicationSubject, as_change, assert_unknown, changes, changes_with_end, check_part, commit, entries,
    follow, name, present, replay, with_token,
};
use crate::batch::Batch;
use crate::conformance::workload::{Client, OperationId};
use crate::conformance::{key, put, value};
use crate::error::CommitError;
use crate::history::Recorder;
use crate::key::{AppendPrefix, Value};
use crate::limits::MAX_VALUE_BYTES;
use crate::port::Store;
use crate::replication::{Committed, FollowError, MAX_CHANGES_BYTES};
use crate::version::Version;

pub async fn changes_are_whole_and_in_order(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    let log = AppendPrefix::new("log/").unwrap();
    let mut mixed = put("b", "2");
    mixed.delete(key("a"));
    mixed.delete(key("never there"));
    mixed.append(log.clone(), value("first"));
    mixed.append(log, value("second"));
    mixed.put(key("empty"), Value::default());
    let batches = [
        put("a", "1"),
        with_token(mixed, "mixed"),
        put("a", "1"),
        with_token(put("c", "3"), "three"),
    ];
    let mut expected = Vec::new();
    for batch in batches {
        let version = commit(&store, batch.clone()).await;
        expected.push(as_change(&batch, version));
    }
    let (found, end) = changes_with_end(&store, &follower, start).await;
    assert_eq!(found, expected);
    assert!(end >= expected[3].version);
    assert_eq!(replay(&found), entries(&store).await);
}

pub async fn only_what_comes_after_following_is_kept(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let before = commit(&store, put("a", "1")).await;
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    assert!(start >= before);
    assert_eq!(changes(&store, &follower, start).await, []);
    let batch = put("a", "2");
    let version = commit(&store, batch.clone()).await;
    assert_eq!(
        changes(&store, &follower, start).await,
        [as_change(&batch, version)]
    );
    assert_eq!(follow(&store, &follower).await, start, "it follows already");
}

pub async fn what_was_not_committed_is_no_change(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    let version = commit(&store, with_token(put("a", "1"), "one")).await;
    let mut late = put("a", "2");
    late.require_version(key("a"), None);
    assert!(matches!(store.commit(late).await, Err(CommitError::Conflict(_))));
    assert!(
        store
            .commit(with_token(put("a", "3"), "one"))
            .await
            .unwrap()
            .replayed
    );
    assert!(matches!(
        store.commit(Batch::new()).await,
        Err(CommitError::Invalid(_))
    ));
    let found = changes(&store, &follower, start).await;
    assert_eq!(found, [as_change(&with_token(put("a", "1"), "one"), version)]);
}

pub async fn changes_can_be_asked_again_from_anywhere(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    for number in 0..20 {
        commit(&store, put(&format!("{}", number % 3), &number.to_string())).await;
    }
    let all = changes(&store, &follower, start).await;
    assert_eq!(all.len(), 20);
    assert_eq!(changes(&store, &follower, start).await, all);
    for (position, commit) in all.iter().enumerate() {
        assert_eq!(
            changes(&store, &follower, commit.version).await,
            all[position + 1..]
        );
        let just_before = Version::from_u64(commit.version.as_u64() - 1);
        assert_eq!(
            changes(&store, &follower, just_before.max(start)).await,
            all[position..]
        );
    }
    let future = present(&store).await.next().next();
    let (none, up_to) = changes_with_end(&store, &follower, future).await;
    assert_eq!((none.len(), up_to), (0, future), "nothing is in the future");
}

pub async fn changes_come_in_parts(source: &mut impl ReplicationSubject, _: &mut impl ReplicationSubject) {
    let store = source.replicated();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    let large = Value::new(vec![b'x'; MAX_VALUE_BYTES]).unwrap();
    let mut expected = Vec::new();
    for number in 0..3 {
        let mut batch = put(&format!("small/{number}"), "x");
        for position in 0..6 {
            batch.put(key(format!("large/{number}/{position}")), large.clone());
        }
        let version = commit(&store, batch.clone()).await;
        expected.push(as_change(&batch, version));
        for _ in 0..4 {
            let small = put("small", "y");
            let version = commit(&store, small.clone()).await;
            expected.push(as_change(&small, version));
        }
    }
    let first = store.changes(&follower, start).await.unwrap();
    check_part(&first, start);
    assert!(first.has_more);
    assert!(
        first.commits[0].size_bytes() > MAX_CHANGES_BYTES,
        "whole, though large"
    );
    assert!(first.commits.len() < expected.len());
    assert_eq!(changes(&store, &follower, start).await, expected);
}

pub async fn confirmed_changes_are_gone(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    let kept_bytes = async || store.followers().await.unwrap()[0].kept_bytes;
    let before = kept_bytes().await;
    let mut versions = Vec::new();
    for number in 0..10 {
        versions.push(commit(&store, put(&number.to_string(), &"x".repeat(1_000))).await);
    }
    let after = kept_bytes().await;
    assert!(after >= before + 10_000, "{before} and {after} bytes");

    store.confirm(&follower, versions[6]).await.unwrap();
    let refused = store.changes(&follower, versions[5]).await;
    let Err(FollowError::Confirmed { after, confirmed }) = refused else {
        panic!("it was confirmed: {refused:?}");
    };
    assert_eq!((after, confirmed), (versions[5], versions[6]));
    assert!(matches!(
        store.changes(&follower, start).await,
        Err(FollowError::Confirmed { .. })
    ));
    assert_eq!(changes(&store, &follower, versions[6]).await.len(), 3);
    let rest = kept_bytes().await;
    assert!(
        (3_000..6_000).contains(&rest),
        "{rest} bytes are kept for 3 of 10"
    );
    assert_eq!(follow(&store, &follower).await, versions[6]);
}

pub async fn what_is_confirmed_only_grows(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    follow(&store, &follower).await;
    let first = commit(&store, put("a", "1")).await;
    let second = commit(&store, put("a", "2")).await;
    let confirmed = async || store.followers().await.unwrap()[0].confirmed;
    for up_to in [second, second, first, Version::ZERO] {
        store.confirm(&follower, up_to).await.unwrap();
        assert_eq!(confirmed().await, second);
    }
    let future = Version::from_u64(second.as_u64() + (1 << 40));
    store.confirm(&follower, future).await.unwrap();
    let present = confirmed().await;
    assert!(
        (second..future).contains(&present),
        "{present} is not the present"
    );
    let third = commit(&store, put("a", "3")).await;
    let found = changes(&store, &follower, present).await;
    assert_eq!(found, [as_change(&put("a", "3"), third)]);
}

pub async fn followers_do_not_disturb_each_other(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let (slow, quick) = (name("slow"), name("quick"));
    let slow_start = follow(&store, &slow).await;
    let mut versions = vec![commit(&store, put("a", "0")).await];
    let quick_start = follow(&store, &quick).await;
    for number in 1..300 {
        versions.push(commit(&store, put("a", &number.to_string())).await);
        store.confirm(&quick, versions[number]).await.unwrap();
    }
    assert!(quick_start >= versions[0]);
    let found = changes(&store, &slow, slow_start).await;
    let found: Vec<_> = found.iter().map(|commit| commit.version).collect();
    assert_eq!(found, versions);
    assert_eq!(changes(&store, &quick, versions[299]).await, []);
    let names: Vec<_> = store.followers().await.unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|following| following.name.as_str().to_owned())
        .collect();
    assert_eq!(names, ["quick", "slow"]);

    store.unfollow(&slow).await.unwrap();
    assert_unknown(store.changes(&slow, slow_start).await, &slow);
    let last = commit(&store, put("a", "last")).await;
    assert_eq!(changes(&store, &quick, versions[299]).await[0].version, last);
    let again = follow(&store, &slow).await;
    assert!(again >= last, "it begins anew");
}

pub async fn who_does_not_follow_is_told(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let (follower, nobody) = (name("archive"), name("nobody"));
    follow(&store, &follower).await;
    assert_unknown(store.changes(&nobody, Version::ZERO).await, &nobody);
    assert_unknown(store.confirm(&nobody, Version::ZERO).await, &nobody);
    store.unfollow(&nobody).await.unwrap();
    for _ in 0..2 {
        store.unfollow(&follower).await.unwrap();
        assert_unknown(store.changes(&follower, Version::ZERO).await, &follower);
    }
    assert_eq!(store.followers().await.unwrap(), []);
}

pub async fn followers_and_changes_outlive_restarts(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let (follower, gone) = (name("archive"), name("gone"));
    let mut after = follow(&source.replicated(), &follower).await;
    follow(&source.replicated(), &gone).await;
    source.replicated().unfollow(&gone).await.unwrap();
    let mut expected = Vec::new();
    for round in 0..4 {
        for number in 0..5 {
            let store = source.replicated();
            let batch = put(&number.to_string(), &round.to_string());
            let version = commit(&store, batch.clone()).await;
            expected.push(as_change(&batch, version));
        }
        if round == 2 {
            after = expected.remove(0).version;
            source.replicated().confirm(&follower, after).await.unwrap();
        }
        let before = source.replicated().followers().await.unwrap();
        source.restart().await;
        let store = source.replicated();
        let found = store.followers().await.unwrap();
        assert_eq!(found, before);
        assert_eq!((found.len(), found[0].confirmed), (1, after));
        assert_eq!(changes(&store, &follower, after).await, expected);
        assert_unknown(store.changes(&gone, after).await, &gone);
    }
}

/// Commits are of every kind, some conflict, and the follower waits for watches.
pub async fn a_follower_beside_many_writers_misses_nothing(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    let follower = name("archive");
    let mut after = follow(&store, &follower).await;
    let mut watch = store.watch(bytes::Bytes::new());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let store: Arc<dyn Store> = store.clone();
        writers.spawn(async move {
            let note = Recorder::new();
            let mut client = Client::new(store.clone(), writer);
            let mut committed = Vec::new();
            for number in 0..40 {
                let Some(plan) = client.plan(&note).await else {
                    continue;
                };
                let batch = plan.batch(OperationId(writer << 32 | number));
                match store.commit(batch.clone()).await {
                    Ok(commit) => committed.push(as_change(&batch, commit.version)),
                    Err(CommitError::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            committed
        });
    }
    let following = tokio::spawn({
        let store = store.clone();
        async move {
            let mut found: Vec<Committed> = Vec::new();
            loop {
                let (part, up_to) = changes_with_end(&store, &follower, after).await;
                found.extend(part);
                after = up_to;
                store.confirm(&follower, after).await.unwrap();
                // The last change is of the commit below.
                if found
                    .last()
                    .is_some_and(|commit| commit.writes[0].0 == key("last"))
                {
                    return found;
                }
                watch.changed().await.unwrap();
            }
        }
    });
    let mut expected: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    expected.sort_by_key(|commit| commit.version);
    let last = commit(&store, put("last", "1")).await;
    expected.push(as_change(&put("last", "1"), last));
    let found = following.await.unwrap();
    assert_eq!(found, expected);
    assert_eq!(replay(&found), entries(&store).await);
}
