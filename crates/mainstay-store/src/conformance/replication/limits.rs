//! What is kept and taken has a bound.

use super::{ReplicationSubject, changes, commit, follow, name, replica};
use crate::conformance::{key, put};
use crate::error::CommitError;
use crate::key::Value;
use crate::limits::MAX_VALUE_BYTES;
use crate::port::Entry;
use crate::replication::{FollowError, MAX_FOLLOWERS, MAX_PORTION_BYTES, Portion};
use crate::version::Version;

pub async fn followers_are_few(source: &mut impl ReplicationSubject, _: &mut impl ReplicationSubject) {
    let store = source.replicated();
    for number in 0..MAX_FOLLOWERS {
        follow(&store, &name(&format!("follower-{number}"))).await;
    }
    let one_more = name("one-more");
    assert!(matches!(store.follow(&one_more).await, Err(FollowError::TooMany)));
    follow(&store, &name("follower-3")).await;
    store.unfollow(&name("follower-3")).await.unwrap();
    follow(&store, &one_more).await;
    assert_eq!(store.followers().await.unwrap().len(), MAX_FOLLOWERS);
}

pub async fn the_furthest_follower_is_dropped<S: ReplicationSubject>(
    _: &mut S,
    _: &mut impl ReplicationSubject,
) {
    let mut source = S::open_keeping(100_000).await;
    let store = source.replicated();
    let (slow, slower, quick) = (name("slow"), name("slower"), name("quick"));
    let start = follow(&store, &slower).await;
    commit(&store, put("a", &"x".repeat(20_000))).await;
    let slow_start = follow(&store, &slow).await;
    let mut last = follow(&store, &quick).await;
    let is_lost = async |position: usize| store.followers().await.unwrap()[position].is_lost;
    let mut committed = 0;
    // In the order of their names: quick, slow, slower.
    while !is_lost(2).await {
        last = commit(&store, put("a", &"x".repeat(5_000))).await;
        store.confirm(&quick, last).await.unwrap();
        committed += 1;
        assert!(committed < 100, "it is never dropped");
    }
    assert!(
        committed > 3,
        "there was room for more: {committed} commits of 5,000 bytes"
    );
    assert!(!is_lost(1).await, "only the furthest");
    assert_eq!(changes(&store, &slow, slow_start).await.len(), committed);
    while !is_lost(1).await {
        last = commit(&store, put("a", &"x".repeat(5_000))).await;
        store.confirm(&quick, last).await.unwrap();
        committed += 1;
        assert!(committed < 100, "it is never dropped");
    }

    drop(store);
    source.restart().await;
    let store = source.replicated();
    for follower in [&slow, &slower] {
        assert!(
            matches!(store.changes(follower, last).await, Err(FollowError::Lost(name)) if name == *follower)
        );
        assert!(matches!(
            store.confirm(follower, last).await,
            Err(FollowError::Lost(_))
        ));
        assert!(matches!(store.follow(follower).await, Err(FollowError::Lost(_))));
    }
    assert!(matches!(
        store.changes(&slower, start).await,
        Err(FollowError::Lost(_))
    ));
    let version = commit(&store, put("a", "1")).await;
    assert_eq!(changes(&store, &quick, last).await[0].version, version);
    store.unfollow(&slow).await.unwrap();
    let anew = follow(&store, &slow).await;
    assert!(anew >= version);
    let version = commit(&store, put("a", "2")).await;
    assert_eq!(changes(&store, &slow, anew).await[0].version, version);
}

pub async fn large_portions_are_refused(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    let entry = |number: usize, bytes: usize| Entry {
        key: key(format!("{number:04}")),
        value: Value::new(vec![b'x'; bytes]).unwrap(),
        version: Version::from_u64(7),
    };
    let whole = MAX_PORTION_BYTES / (4 + MAX_VALUE_BYTES);
    let rest = MAX_PORTION_BYTES - whole * (4 + MAX_VALUE_BYTES) - 4;
    let mut portion = Portion {
        entries: (0..whole).map(|number| entry(number, MAX_VALUE_BYTES)).collect(),
        tokens: Vec::new(),
    };
    portion.entries.push(entry(whole, rest));
    assert_eq!(portion.size_bytes(), MAX_PORTION_BYTES);
    store.copy(portion.clone()).await.expect("the largest fits");
    portion.entries.push(entry(whole + 1, 0));
    let refused = store.copy(portion).await;
    assert!(matches!(refused, Err(CommitError::Invalid(_))), "{refused:?}");
    let names = [key(format!("{whole:04}")), key(format!("{:04}", whole + 1))];
    let read = store.read(&names).await.unwrap();
    assert!(read.values[0].is_some() && read.values[1].is_none());
}
