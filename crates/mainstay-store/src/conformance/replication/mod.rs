//! What every adapter has to pass that can be followed and be a copy: one test for each promise of the second port.
//!
//! An adapter's tests call [`replication_suite!`](crate::replication_suite) with two [`ReplicationSubject`]s, the store
//! that is followed and the one that becomes its copy. They may be of different adapters.

pub mod copies;
pub mod feed;
pub mod limits;
pub mod moves;
pub mod roles;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::{Subject, all};
use crate::batch::{Batch, Token};
use crate::error::CommitError;
use crate::key::Key;
use crate::port::{Commit, Entry, Store};
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, MAX_CHANGES_BYTES, Portion, Replicated,
};
use crate::version::Version;

/// An adapter under test that can be followed.
pub trait ReplicationSubject: Subject {
    /// An empty store that keeps so many bytes for followers at most.
    fn open_keeping(bytes: u64) -> impl Future<Output = Self>;

    /// The store.
    fn replicated(&self) -> Arc<dyn Replicated>;
}

/// One `#[tokio::test]` for each promise, run against a source and a target, each a
/// [`ReplicationSubject`](crate::conformance::replication::ReplicationSubject).
#[macro_export]
macro_rules! replication_suite {
    ($source:ty, $target:ty) => {
        $crate::replication_suite!(@tests $source, $target,
            feed::changes_are_whole_and_in_order,
            feed::only_what_comes_after_following_is_kept,
            feed::what_was_not_committed_is_no_change,
            feed::changes_can_be_asked_again_from_anywhere,
            feed::changes_come_in_parts,
            feed::confirmed_changes_are_gone,
            feed::what_is_confirmed_only_grows,
            feed::followers_do_not_disturb_each_other,
            feed::who_does_not_follow_is_told,
            feed::followers_and_changes_outlive_restarts,
            feed::a_follower_beside_many_writers_misses_nothing,
            limits::followers_are_few,
            limits::the_furthest_follower_is_dropped,
            limits::large_portions_are_refused,
            roles::a_new_store_is_a_primary,
            roles::a_replica_takes_no_commits,
            roles::roles_outlive_restarts,
            roles::nothing_is_accepted_after_the_last_version,
            roles::versions_go_on_after_a_promotion,
            roles::changing_roles_once_more_changes_nothing,
            copies::what_is_copied_keeps_its_version,
            copies::what_is_applied_keeps_its_version,
            copies::copying_and_applying_once_more_changes_nothing,
            copies::a_copy_does_not_replace_what_is_later,
            copies::a_copy_replaces_what_has_its_version,
            copies::tokens_are_listed_in_order,
            copies::tokens_are_remembered_by_the_copy,
            copies::what_is_applied_wakes_watches,
            copies::a_replica_can_be_followed,
            moves::a_store_is_moved_while_it_is_in_use,
            moves::a_copy_is_resumed_after_restarts,
            moves::conditions_hold_across_a_move,
            moves::a_move_is_taken_back,
        );
    };
    (@tests $source:ty, $target:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                use $crate::conformance::Subject;
                if !<$source as Subject>::is_available().await || !<$target as Subject>::is_available().await {
                    return;
                }
                let mut source = <$source as Subject>::open().await;
                let mut target = <$target as Subject>::open().await;
                $crate::conformance::replication::$module::$name(&mut source, &mut target).await;
            }
        )+
    };
}

fn name(text: &str) -> FollowerName {
    FollowerName::new(text).unwrap()
}

fn token(text: impl Into<String>) -> Token {
    Token::new(text.into()).unwrap()
}

fn with_token(mut batch: Batch, text: &str) -> Batch {
    batch.set_token(token(text));
    batch
}

async fn commit(store: &Arc<dyn Replicated>, batch: Batch) -> Version {
    let commit: Commit = store.commit(batch).await.expect("the batch is committed");
    assert!(!commit.replayed);
    commit.version
}

async fn follow(store: &Arc<dyn Replicated>, follower: &FollowerName) -> Version {
    store.follow(follower).await.expect("it can be followed")
}

/// Makes a replica of an empty store.
async fn replica(subject: &mut impl ReplicationSubject) -> Arc<dyn Replicated> {
    let store = subject.replicated();
    store.demote().await.expect("it can be a replica");
    store
}

/// The present version of a store.
async fn present(store: &Arc<dyn Replicated>) -> Version {
    store.snapshot().await.unwrap().version()
}

/// All changes after a version that there are now, part by part. The writes of each commit are sorted by their keys.
async fn changes(store: &Arc<dyn Replicated>, follower: &FollowerName, after: Version) -> Vec<Committed> {
    let (commits, _) = changes_with_end(store, follower, after).await;
    commits
}

async fn changes_with_end(
    store: &Arc<dyn Replicated>,
    follower: &FollowerName,
    after: Version,
) -> (Vec<Committed>, Version) {
    let mut found = Vec::new();
    let mut from = after;
    loop {
        let part = store.changes(follower, from).await.expect("there are changes");
        check_part(&part, from);
        from = part.up_to;
        found.extend(part.commits);
        if !part.has_more {
            break;
        }
    }
    for commit in &mut found {
        commit.writes.sort_by(|one, other| one.0.cmp(&other.0));
    }
    (found, from)
}

/// What must be so for every part.
fn check_part(part: &Changes, after: Version) {
    let versions: Vec<_> = part.commits.iter().map(|commit| commit.version).collect();
    assert!(
        versions.is_sorted_by(|one, other| one < other),
        "in order, each once"
    );
    assert!(versions.first().is_none_or(|first| *first > after));
    assert!(part.up_to >= versions.last().copied().unwrap_or(after));
    assert!(!part.has_more || !part.commits.is_empty(), "it goes on");
    let sizes: Vec<_> = part.commits.iter().map(Committed::size_bytes).collect();
    let before_last = sizes.split_last().map_or(0, |(_, before)| before.iter().sum());
    assert!(
        before_last <= 2 * MAX_CHANGES_BYTES,
        "{before_last} bytes were enough before the last commit"
    );
}

/// What a batch is as a change.
fn as_change(batch: &Batch, version: Version) -> Committed {
    let writes = batch.resolved(version).map(|(key, value)| (key, value.cloned()));
    let mut writes: Vec<_> = writes.collect();
    writes.sort_by(|one, other| one.0.cmp(&other.0));
    Committed {
        version,
        writes,
        token: batch.token().cloned(),
    }
}

/// What is in a store.
async fn entries(store: &Arc<dyn Replicated>) -> Vec<Entry> {
    let store: Arc<dyn Store> = store.clone();
    let page = all(&store).await;
    assert_eq!(page.rest, None, "all of it fits into a page");
    let latest = page.entries.iter().map(|entry| entry.version).max();
    assert!(
        latest.is_none_or(|latest| latest <= page.at),
        "nothing is later than the page"
    );
    page.entries
}

/// What changes leave when they are done one after another.
fn replay(commits: &[Committed]) -> Vec<Entry> {
    let mut left: BTreeMap<Key, Entry> = BTreeMap::new();
    for commit in commits {
        for (key, value) in &commit.writes {
            match value {
                Some(value) => {
                    let entry = Entry {
                        key: key.clone(),
                        value: value.clone(),
                        version: commit.version,
                    };
                    left.insert(key.clone(), entry);
                }
                None => {
                    left.remove(key);
                }
            }
        }
    }
    left.into_values().collect()
}

/// Copies all that is in a store now, in pages of a few entries, and its tokens.
async fn copy_all(from: &Arc<dyn Replicated>, to: &Arc<dyn Replicated>) {
    let mut rest = Some(crate::KeyRange::all());
    while let Some(range) = rest {
        let page = from.scan(&crate::Scan::new(range).limit(7)).await.unwrap();
        let portion = Portion {
            entries: page.entries,
            tokens: Vec::new(),
        };
        to.copy(portion).await.expect("a page is copied");
        rest = page.rest;
    }
    let mut after = None;
    loop {
        let tokens = from.tokens(after.as_ref()).await.unwrap();
        let Some((last, _)) = tokens.last() else { break };
        after = Some(last.clone());
        let portion = Portion {
            entries: Vec::new(),
            tokens,
        };
        to.copy(portion).await.expect("tokens are copied");
    }
}

/// Applies the changes after a version that there are now, and confirms them. Gives up to where.
async fn catch_up(
    from: &Arc<dyn Replicated>,
    to: &Arc<dyn Replicated>,
    follower: &FollowerName,
    mut after: Version,
) -> Version {
    loop {
        let part = from.changes(follower, after).await.expect("there are changes");
        check_part(&part, after);
        to.apply(&part.commits).await.expect("changes are applied");
        from.confirm(follower, part.up_to)
            .await
            .expect("they are confirmed");
        after = part.up_to;
        if !part.has_more {
            return after;
        }
    }
}

/// Commits what a replica must refuse.
async fn refused(store: &Arc<dyn Replicated>, batch: Batch) {
    assert_eq!(store.commit(batch).await, Err(CommitError::Replica));
}

fn assert_unknown<T: std::fmt::Debug>(answer: Result<T, FollowError>, follower: &FollowerName) {
    match answer {
        Err(FollowError::Unknown(name)) => assert_eq!(name, *follower),
        other => panic!("nobody follows as that: {other:?}"),
    }
}
