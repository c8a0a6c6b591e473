//! A store is moved to another engine.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{
    ReplicationSubject, catch_up, changes, commit, copy_all, entries, follow, name, present, replica, token,
    with_token,
};
use crate::batch::Batch;
use crate::conformance::workload;
use crate::conformance::{key, put, stored};
use crate::error::CommitError;
use crate::history::Recorder;
use crate::key::{KeyRange, Value};
use crate::port::{Scan, Store};
use crate::replication::{Replicated, Role};
use crate::version::Version;

/// Everything is like everything there, tokens too.
async fn assert_alike(one: &Arc<dyn Replicated>, other: &Arc<dyn Replicated>) {
    assert_eq!(entries(one).await, entries(other).await);
    assert_eq!(one.tokens(None).await.unwrap(), other.tokens(None).await.unwrap());
}

/// Clients write through the source until it is handed over, and through the target from then on; what they saw is one
/// strictly serialisable history.
pub async fn a_store_is_moved_while_it_is_in_use(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let (from, to) = (source.replicated(), target.replicated());
    let recorder = Arc::new(Recorder::new());
    let ids = Arc::new(AtomicU64::new(1));
    let plain: Arc<dyn Store> = from.clone();
    workload::run(&plain, &recorder, &ids, 4, 30).await;

    to.demote().await.unwrap();
    let follower = name("move");
    let mut after = follow(&from, &follower).await;
    let writers = tokio::spawn({
        let (plain, recorder, ids) = (plain.clone(), recorder.clone(), ids.clone());
        async move { workload::run(&plain, &recorder, &ids, 4, 60).await }
    });
    copy_all(&from, &to).await;
    while !writers.is_finished() {
        after = catch_up(&from, &to, &follower, after).await;
        tokio::task::yield_now().await;
    }
    assert!(writers.await.unwrap().is_empty());
    let last = from.demote().await.unwrap();
    while after < last {
        after = catch_up(&from, &to, &follower, after).await;
    }
    assert_alike(&from, &to).await;
    to.promote(last).await.unwrap();
    assert_alike(&from, &to).await;

    let plain: Arc<dyn Store> = to.clone();
    workload::run(&plain, &recorder, &ids, 4, 30).await;
    workload::Client::new(plain, 0).look(recorder.as_ref()).await;
    let summary = recorder.history().check();
    let summary = summary.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(summary.commits > 100, "{summary:?}");
}

/// Both are stopped at any step; who moves the store only knows what it confirmed.
pub async fn a_copy_is_resumed_after_restarts(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let follower = name("move");
    for number in 0..20 {
        let text = format!("before {number}");
        let batch = with_token(put(&format!("{}", number % 11), &text), &text);
        commit(&source.replicated(), batch).await;
    }
    let mut after = follow(&source.replicated(), &follower).await;
    replica(target).await;
    copy_all(&source.replicated(), &target.replicated()).await;
    for round in 0..4 {
        for number in 0..10 {
            let text = format!("round {round} {number}");
            let mut batch = with_token(put(&format!("{}", (round + number) % 13), &text), &text);
            batch.delete(key(format!("{}", (round + 2 * number + 1) % 13 + 13)));
            batch.put(key(format!("{}", number + 26)), Value::default());
            commit(&source.replicated(), batch).await;
        }
        let part = source.replicated().changes(&follower, after).await.unwrap();
        let half = part.commits.len() / 2;
        target.replicated().apply(&part.commits[..half]).await.unwrap();
        if round % 2 == 0 {
            after = part.commits[half - 1].version;
            source.replicated().confirm(&follower, after).await.unwrap();
        }
        source.restart().await;
        target.restart().await;
        assert_eq!(source.replicated().followers().await.unwrap()[0].confirmed, after);
    }
    let last = source.replicated().demote().await.unwrap();
    source.restart().await;
    let (from, to) = (source.replicated(), target.replicated());
    assert_eq!(from.demote().await.unwrap(), last);
    while after < last {
        after = catch_up(&from, &to, &follower, after).await;
    }
    to.promote(last).await.unwrap();
    assert_alike(&from, &to).await;
    drop(to);
    target.restart().await;
    assert_alike(&from, &target.replicated()).await;
}

pub async fn conditions_hold_across_a_move(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let from = source.replicated();
    for member in ["group/a", "group/b", "group/c", "other"] {
        commit(&from, put(member, "1")).await;
    }
    let group = Scan::new(KeyRange::prefix("group/"));
    let follower = name("move");
    let start = follow(&from, &follower).await;
    let to = replica(target).await;
    copy_all(&from, &to).await;
    let before_put = from.scan(&group).await.unwrap();
    commit(&from, put("group/b", "2")).await;
    let before_delete = from.scan(&group).await.unwrap();
    let mut delete = Batch::new();
    delete.delete(key("group/c"));
    commit(&from, delete).await;
    let page = from.scan(&group).await.unwrap();
    let changed = commit(&from, put("other", "2")).await;
    let last = from.demote().await.unwrap();
    catch_up(&from, &to, &follower, start).await;
    to.promote(last).await.unwrap();

    // What was read before the move, and changed there or not.
    for stale in [before_put, before_delete] {
        let mut batch = put("other", "stale");
        batch.require(stale.unchanged());
        let answer = to.commit(batch).await;
        assert!(matches!(answer, Err(CommitError::Conflict(_))), "{answer:?}");
    }
    let plain: Arc<dyn Store> = to.clone();
    let mut batch = put("other", "3");
    batch.require_version(key("other"), Some(changed));
    batch.require(page.unchanged());
    let version = commit(&to, batch.clone()).await;
    assert!(version > last);
    assert_eq!(stored(&plain, "other").await.unwrap().version, version);
    assert!(matches!(to.commit(batch).await, Err(CommitError::Conflict(_))));
    // What is read after it.
    let page = to.scan(&group).await.unwrap();
    assert!(page.at >= version);
    let mut guarded = put("other", "4");
    guarded.require(page.unchanged());
    commit(&to, guarded.clone()).await;
    for change in [put("group/b", "1"), put("group/d", "1"), {
        let mut batch = crate::Batch::new();
        batch.delete(key("group/a"));
        batch
    }] {
        let page = to.scan(&group).await.unwrap();
        commit(&to, change).await;
        let mut guarded = put("other", "5");
        guarded.require(page.unchanged());
        let answer = to.commit(guarded).await;
        assert!(matches!(answer, Err(CommitError::Conflict(_))), "{answer:?}");
    }
    let answer = to.commit(guarded).await;
    assert!(matches!(answer, Err(CommitError::Conflict(_))), "{answer:?}");
}

/// The store is moved, used there, and moved back.
pub async fn a_move_is_taken_back(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let (from, to) = (source.replicated(), target.replicated());
    let (there, back) = (name("there"), name("back"));
    let before = commit(&from, with_token(put("a", "1"), "before")).await;
    commit(&from, put("gone", "1")).await;
    to.demote().await.unwrap();
    let start = follow(&from, &there).await;
    copy_all(&from, &to).await;
    commit(&from, put("b", "1")).await;
    let last = from.demote().await.unwrap();
    catch_up(&from, &to, &there, start).await;
    // Before the first commit there, so that none is missed.
    let back_start = follow(&to, &back).await;
    to.promote(last).await.unwrap();
    from.unfollow(&there).await.unwrap();

    let mut batch = with_token(put("b", "2"), "during");
    batch.delete(key("gone"));
    let during = commit(&to, batch).await;
    let mut after = catch_up(&to, &from, &back, back_start).await;
    commit(&to, put("c", "3")).await;
    let last = to.demote().await.unwrap();
    let deadline = tokio::time::timeout(Duration::from_secs(30), async {
        while after < last {
            after = catch_up(&to, &from, &back, after).await;
        }
    });
    deadline.await.expect("it comes to the end");
    from.promote(last).await.unwrap();
    assert_eq!(
        (from.role().await, to.role().await),
        (Ok(Role::Primary), Ok(Role::Replica))
    );
    assert_alike(&from, &to).await;
    let tokens = from.tokens(None).await.unwrap();
    assert_eq!(tokens, [(token("before"), before), (token("during"), during)]);
    let version = commit(&from, put("d", "4")).await;
    assert!(version > last && present(&from).await >= version);
    assert_eq!(changes(&to, &back, after).await, []);
    assert!(after > Version::ZERO);
}
