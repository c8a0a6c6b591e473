use super::*;
use crate::batch::Token;
use crate::key::{KeyRange, Value};
use crate::replication::{FollowError, FollowerName, Portion, Replicated, Role};

fn follower(name: &str) -> FollowerName {
    FollowerName::new(name).unwrap()
}

async fn replica() -> Simulated {
    let store = Simulated::new();
    store.demote().await.unwrap();
    store
}

async fn everything(store: &Simulated) -> Vec<crate::Entry> {
    store.scan(&Scan::new(KeyRange::all())).await.unwrap().entries
}

#[tokio::test]
async fn a_copy_that_follows_is_the_same_and_goes_on_after_it() {
    let (source, target) = (Simulated::new(), replica().await);
    for name in ["a", "b", "c"] {
        source.commit(put(name)).await.unwrap();
    }
    let name = follower("copy");
    let begun = source.follow(&name).await.unwrap();
    let page = source.scan(&Scan::new(KeyRange::all())).await.unwrap();
    let mut later = put("a");
    later.delete(key("b")).set_token(Token::new("one").unwrap());
    source.commit(later.clone()).await.unwrap();
    let portion = Portion {
        entries: page.entries,
        tokens: Vec::new(),
    };
    target.copy(portion).await.unwrap();
    let last = source.demote().await.unwrap();
    assert_eq!(source.commit(put("d")).await, Err(CommitError::Replica));
    let changes = source.changes(&name, begun).await.unwrap();
    assert_eq!((changes.commits.len(), changes.up_to), (1, last));
    target.apply(&changes.commits).await.unwrap();
    assert_eq!(everything(&target).await, everything(&source).await);

    assert_eq!(target.role().await, Ok(Role::Replica));
    target.promote(last).await.unwrap();
    assert!(target.commit(later).await.unwrap().replayed);
    assert!(target.commit(put("d")).await.unwrap().version > last);
    assert_eq!(target.apply(&[]).await, Err(CommitError::Primary));
}

#[tokio::test]
async fn a_crash_loses_copies_until_something_makes_them_durable() {
    let target = replica().await;
    let portion = |name: &str| Portion {
        entries: vec![crate::Entry {
            key: key(name),
            value: Value::new("v").unwrap(),
            version: Version::from_u64(7),
        }],
        tokens: Vec::new(),
    };
    target.copy(portion("a")).await.unwrap();
    target.apply(&[]).await.unwrap();
    target.copy(portion("b")).await.unwrap();
    target.crash();
    target.recover();
    assert!(exists(&target, "a").await && !exists(&target, "b").await);
    assert_eq!(target.role().await, Ok(Role::Replica));
}

#[tokio::test]
async fn who_is_too_far_behind_is_dropped_and_told() {
    let source = Simulated::new();
    let (slow, fast) = (follower("slow"), follower("fast"));
    for name in [&slow, &fast] {
        source.follow(name).await.unwrap();
    }
    let first = source.commit(put("a")).await.unwrap().version;
    source.confirm(&fast, first).await.unwrap();
    source.commit(put("b")).await.unwrap();
    source.set_max_feed_bytes(2);
    let lost = Err(FollowError::Lost(slow.clone()));
    assert_eq!(source.changes(&slow, Version::ZERO).await.map(drop), lost);
    assert_eq!(source.follow(&slow).await.map(drop), lost);
    assert_eq!(source.changes(&fast, first).await.unwrap().commits.len(), 1);
    let refused = source.changes(&fast, Version::ZERO).await;
    assert!(
        matches!(refused, Err(FollowError::Confirmed { .. })),
        "{refused:?}"
    );
    source.unfollow(&slow).await.unwrap();
    assert!(source.follow(&slow).await.unwrap() > first);
}
