//! What only the embedded store does for followers and copies.

use super::*;
use crate::batch::Token;
use crate::port::Entry;
use crate::replication::{Committed, FollowError, FollowerName, Portion, Replicated, Role};
use crate::version::Version;

fn archive() -> FollowerName {
    FollowerName::new("archive").unwrap()
}

/// How many commits are kept in the tree.
fn kept(lab: &Lab) -> usize {
    let all = space::fed_between(Version::ZERO, Version::from_u64(tree::LATEST));
    let kept = lab.store().reader.tree.range(all, tree::LATEST);
    kept.map(Result::unwrap).count()
}

async fn kept_becomes(lab: &Lab, expected: usize) {
    let swept = tokio::time::timeout(Duration::from_secs(30), async {
        while kept(lab) != expected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    swept
        .await
        .unwrap_or_else(|_| panic!("{} commits are kept, not {expected}", kept(lab)));
}

fn commits(versions: impl IntoIterator<Item = u64>) -> Vec<Committed> {
    let commit = |version| Committed {
        version: Version::from_u64(version),
        writes: vec![(key(&version.to_string()), Some(Value::new("v").unwrap()))],
        token: Some(Token::new(version.to_string()).unwrap()),
    };
    versions.into_iter().map(commit).collect()
}

#[tokio::test]
async fn nothing_is_kept_without_followers() {
    let mut lab = Lab::new();
    let bytes_of_commit = async |lab: &Lab, name: &str| {
        let before = lab.store().upkeep.mark().get().durable_bytes;
        lab.put(name).await.unwrap();
        lab.store().upkeep.mark().get().durable_bytes - before
    };
    let alone = bytes_of_commit(&lab, "a").await;
    lab.store().follow(&archive()).await.unwrap();
    let followed = bytes_of_commit(&lab, "b").await;
    assert!(followed > alone, "{followed} and {alone} bytes");
    lab.store().unfollow(&archive()).await.unwrap();
    kept_becomes(&lab, 0).await;
    assert_eq!(bytes_of_commit(&lab, "c").await, alone);
    lab.reopen();
    assert_eq!(bytes_of_commit(&lab, "d").await, alone);
}

/// Without a further commit, and over a restart in between.
#[tokio::test]
async fn what_nobody_needs_goes_by_itself() {
    let mut lab = Lab::with(|options| options.memtable_bytes = 16 * 1_024);
    lab.store().follow(&archive()).await.unwrap();
    let mut versions = Vec::new();
    for number in 0..1_000 {
        versions.push(lab.put(&number.to_string()).await.unwrap().version);
    }
    assert_eq!(kept(&lab), 1_000);
    lab.store().confirm(&archive(), versions[699]).await.unwrap();
    kept_becomes(&lab, 300).await;
    lab.reopen();
    assert_eq!(kept(&lab), 300);
    lab.store().confirm(&archive(), versions[899]).await.unwrap();
    lab.reopen();
    // The next commit finds what a restart left.
    versions.push(lab.put("later").await.unwrap().version);
    kept_becomes(&lab, 101).await;
    let changes = lab.store().changes(&archive(), versions[899]).await.unwrap();
    assert_eq!(changes.commits.len(), 101);
    lab.store().unfollow(&archive()).await.unwrap();
    kept_becomes(&lab, 0).await;
    assert!(lab.get("0").await.is_some() && lab.get("later").await.is_some());
}

/// Commits of the very group that lets go of them are not in the tree yet when it sweeps.
#[tokio::test]
async fn what_is_kept_and_let_go_of_in_one_group_goes_too() {
    let lab = Lab::new();
    let name = archive();
    lab.store().follow(&name).await.unwrap();
    lab.fail(Fault::Hold);
    let first = lab.store().commit(put("0"));
    let waiting: Vec<_> = (1..20)
        .map(|number| lab.store().commit(put(&number.to_string())))
        .collect();
    let mut unfollowed = lab.store().unfollow(&name);
    // It is asked for by now, but the first commit, and with it the next group, waits for the disk.
    let is_pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut unfollowed).poll(context).is_pending())
    });
    assert!(is_pending.await);
    lab.plan.set(None);
    first.await.unwrap();
    for reply in waiting {
        reply.await.unwrap();
    }
    unfollowed.await.unwrap();
    kept_becomes(&lab, 0).await;
}

#[tokio::test]
async fn a_copy_mends_what_is_damaged() {
    let mut lab = Lab::new();
    lab.store().demote().await.unwrap();
    let portion = Portion {
        entries: vec![Entry {
            key: key("copied"),
            value: Value::new("good").unwrap(),
            version: Version::from_u64(7),
        }],
        tokens: vec![(Token::new("token").unwrap(), Version::from_u64(7))],
    };
    let other = Portion {
        entries: vec![Entry {
            key: key("other"),
            ..portion.entries[0].clone()
        }],
        tokens: Vec::new(),
    };
    lab.store().copy(portion.clone()).await.unwrap();
    let damaged = [
        space::data(key("copied").as_ref()),
        space::token(0, &portion.tokens[0].0),
    ];
    for tree_key in damaged {
        lab.store().reader.tree.damage(tree_key);
    }
    // Reads see the damage from the next turn of the committer on.
    lab.store().copy(other).await.unwrap();
    let read = lab.store().read(&[key("copied")]).await;
    assert!(matches!(read, Err(ReadError::Damaged(_))), "{read:?}");
    lab.store().copy(portion.clone()).await.unwrap();
    for is_restarted in [false, true] {
        if is_restarted {
            lab.reopen();
        }
        let stored = lab.get("copied").await.unwrap();
        assert_eq!(
            (stored.value, stored.version),
            (Value::new("good").unwrap(), Version::from_u64(7))
        );
        assert_eq!(lab.store().tokens(None).await.unwrap(), portion.tokens);
    }
}

/// It is tried again with each commit, and not in between: nothing would be gained, and the one thread that commits lost.
#[tokio::test]
async fn a_damaged_feed_does_not_keep_the_committer_busy() {
    let lab = Lab::new();
    lab.store().follow(&archive()).await.unwrap();
    let first = lab.put("first").await.unwrap().version;
    lab.store().reader.tree.damage(space::fed(first));
    lab.put("second").await.unwrap();
    lab.store().unfollow(&archive()).await.unwrap();
    let before = lab.store().queue.turns();
    for number in 0..50 {
        lab.put(&number.to_string()).await.unwrap();
    }
    let turns = lab.store().queue.turns() - before;
    assert!(turns <= 51, "{turns} turns for 50 commits");
    assert!(lab.get("49").await.is_some());
}

/// What is asked beside commits is void as well when its group is not written.
#[tokio::test]
async fn a_full_disk_leaves_roles_and_followers_as_they_were() {
    let mut lab = Lab::new();
    let full = || Fault::Append(10, io::ErrorKind::StorageFull);
    let version = lab.put("a").await.unwrap().version;

    lab.fail(full());
    let error = lab.store().follow(&archive()).await.unwrap_err();
    assert!(
        matches!(error, FollowError::Commit(CommitError::Full(_))),
        "{error}"
    );
    assert_eq!(lab.store().followers().await.unwrap(), []);
    let start = lab.store().follow(&archive()).await.unwrap();
    assert!(start >= version);
    let version = lab.put("b").await.unwrap().version;
    lab.fail(full());
    lab.store().confirm(&archive(), version).await.unwrap_err();
    assert_eq!(lab.store().followers().await.unwrap()[0].confirmed, start);
    assert_eq!(
        lab.store()
            .changes(&archive(), start)
            .await
            .unwrap()
            .commits
            .len(),
        1
    );

    lab.fail(full());
    let error = lab.store().demote().await.unwrap_err();
    assert!(matches!(error, CommitError::Full(_)), "{error}");
    assert_eq!(lab.store().role().await, Ok(Role::Primary));
    lab.put("c").await.unwrap();
    lab.store().demote().await.unwrap();
    lab.fail(full());
    lab.store().apply(&commits([1 << 62])).await.unwrap_err();
    lab.fail(full());
    lab.store().promote(Version::from_u64(1 << 61)).await.unwrap_err();
    assert_eq!(lab.store().role().await, Ok(Role::Replica));
    assert_eq!(lab.put("d").await, Err(CommitError::Replica));
    lab.reopen();
    assert_eq!(lab.store().role().await, Ok(Role::Replica));
    lab.store().apply(&commits([1 << 62])).await.unwrap();
    assert!(lab.get(&(1_u64 << 62).to_string()).await.is_some());
}

/// The copy's own clock is far ahead of the versions that it is given, or far behind: who reads is told of versions of the
/// store that it is a copy of.
#[tokio::test]
async fn a_copy_is_as_late_as_what_it_holds() {
    let mut lab = Lab::new();
    let present = async |lab: &Lab| lab.store().snapshot().await.unwrap().version().as_u64();
    lab.store().demote().await.unwrap();
    lab.store().follow(&archive()).await.unwrap();
    assert_eq!(present(&lab).await, 0);
    for (version, is_restarted) in [(5, false), (9, true), (1 << 60, false), ((1 << 60) + 7, true)] {
        lab.store().apply(&commits([version])).await.unwrap();
        assert_eq!(present(&lab).await, version);
        if is_restarted {
            lab.reopen();
            assert_eq!(present(&lab).await, version);
        }
    }
    let entry = |version| Entry {
        key: key("copied"),
        value: Value::new("v").unwrap(),
        version: Version::from_u64(version),
    };
    for (version, expected) in [(20, (1 << 60) + 7), ((1 << 60) + 8, (1 << 60) + 8)] {
        let portion = Portion {
            entries: vec![entry(version)],
            tokens: Vec::new(),
        };
        lab.store().copy(portion).await.unwrap();
        assert_eq!(present(&lab).await, expected);
    }
    assert_eq!(lab.store().demote().await.unwrap().as_u64(), (1 << 60) + 8);
    let changes = lab.store().changes(&archive(), Version::ZERO).await.unwrap();
    let versions: Vec<_> = changes
        .commits
        .iter()
        .map(|commit| commit.version.as_u64())
        .collect();
    assert_eq!(versions, [5, 9, 1 << 60, (1 << 60) + 7]);
    assert_eq!(changes.up_to.as_u64(), (1 << 60) + 8);
}

#[tokio::test]
async fn versions_that_leave_no_room_are_refused() {
    let lab = Lab::new();
    lab.store().demote().await.unwrap();
    for version in [u64::MAX, (1 << 63) - 1] {
        let error = lab.store().apply(&commits([7, version])).await.unwrap_err();
        assert!(error.to_string().contains("is no version of a store"), "{error}");
        lab.store().promote(Version::from_u64(version)).await.unwrap_err();
    }
    assert!(lab.get("7").await.is_none(), "nothing of it was done");
    assert_eq!(lab.store().role().await, Ok(Role::Replica));
    lab.store().promote(Version::from_u64(7)).await.unwrap();
    lab.put("a").await.unwrap();
}

/// The source forgets on its own time; a copy counts from when it was told.
#[tokio::test]
async fn tokens_are_listed_across_generations() {
    let clock = Arc::new(ManualClock::new());
    let lab = Lab::with(|options| options.clock = clock.clone());
    let listed = async |lab: &Lab| {
        let tokens = lab.store().tokens(None).await.unwrap();
        let names = tokens.iter().map(|(token, _)| token.as_bytes().clone());
        names.collect::<Vec<_>>()
    };
    lab.put("b").await.unwrap();
    clock.advance(TOKEN_LIFETIME);
    lab.put("a").await.unwrap();
    lab.put("c").await.unwrap();
    assert_eq!(listed(&lab).await, ["a", "b", "c"]);
    clock.advance(TOKEN_LIFETIME);
    lab.put("d").await.unwrap();
    assert_eq!(listed(&lab).await, ["a", "c", "d"], "the first may be forgotten");
    clock.advance(3 * TOKEN_LIFETIME);
    lab.put("a").await.unwrap();
    let tokens = lab.store().tokens(None).await.unwrap();
    let latest = lab.get("a").await.unwrap().version;
    assert!(tokens.contains(&(Token::new("a").unwrap(), latest)), "{tokens:?}");
}

#[tokio::test]
async fn a_copy_remembers_tokens_for_their_time() {
    let clock = Arc::new(ManualClock::new());
    let lab = Lab::with(|options| options.clock = clock.clone());
    lab.store().demote().await.unwrap();
    let token = |name: &str| Token::new(name.to_owned()).unwrap();
    let portion = Portion {
        entries: Vec::new(),
        tokens: vec![(token("copied"), Version::from_u64(3))],
    };
    lab.store().copy(portion).await.unwrap();
    lab.store().apply(&commits([7])).await.unwrap();
    clock.advance(TOKEN_LIFETIME.mul_f64(0.99));
    lab.store().promote(Version::from_u64(7)).await.unwrap();
    for (name, version) in [("copied", 3), ("7", 7)] {
        let again = lab.put(name).await.unwrap();
        assert_eq!((again.version.as_u64(), again.replayed), (version, true));
    }
}
