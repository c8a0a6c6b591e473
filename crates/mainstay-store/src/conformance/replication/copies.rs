//! A copy is what it is a copy of.

use std::sync::Arc;

use super::{
    ReplicationSubject, as_change, changes, commit, copy_all, entries, follow, name, replica, token,
    with_token,
};
use crate::conformance::{key, put, text, value};
use crate::key::{AppendPrefix, KeyRange};
use crate::limits::MAX_PAGE_ENTRIES;
use crate::port::{Entry, Store};
use crate::replication::{Committed, Portion};
use crate::version::Version;

fn entry(name: &str, text: &str, version: u64) -> Entry {
    Entry {
        key: key(name),
        value: value(text),
        version: Version::from_u64(version),
    }
}

fn portion(entries: &[Entry]) -> Portion {
    Portion {
        entries: entries.to_vec(),
        tokens: Vec::new(),
    }
}

fn committed(version: u64, writes: &[(&str, Option<&str>)]) -> Committed {
    let writes = writes.iter().map(|(name, text)| (key(*name), text.map(value)));
    Committed {
        version: Version::from_u64(version),
        writes: writes.collect(),
        token: None,
    }
}

/// Versions far apart and in no order, on both sides of what the copy's own clock says.
pub async fn what_is_copied_keeps_its_version(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    let expected = [
        entry("a", "1", 1 << 60),
        entry("b", "", 3),
        entry("c", "3", 1 << 40),
        entry("d", &"x".repeat(100_000), 4),
    ];
    for number in [2, 0, 3, 1] {
        store.copy(portion(&expected[number..=number])).await.unwrap();
    }
    assert_eq!(entries(&store).await, expected);
    let names: Vec<_> = expected.iter().map(|entry| entry.key.clone()).collect();
    let read = store.read(&names).await.unwrap();
    for (entry, stored) in expected.iter().zip(read.values) {
        let stored = stored.expect("it was copied");
        assert_eq!(
            (stored.value, stored.version),
            (entry.value.clone(), entry.version)
        );
        assert!(entry.version <= read.at);
    }
    // It is durable with this.
    store
        .apply(&[committed(1 << 61, &[("e", Some("5"))])])
        .await
        .unwrap();
    drop(store);
    target.restart().await;
    let store = target.replicated();
    assert_eq!(entries(&store).await[..4], expected);
    store.promote(Version::ZERO).await.unwrap();
    assert_eq!(entries(&store).await[..4], expected);
}

pub async fn what_is_applied_keeps_its_version(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let source_store = source.replicated();
    let follower = name("copy");
    let start = follow(&source_store, &follower).await;
    for round in 0..30 {
        let mut batch = put(&format!("put/{}", round % 7), &round.to_string());
        batch.append(AppendPrefix::new("log/").unwrap(), value(round.to_string()));
        if round % 3 == 0 {
            batch.delete(key(format!("put/{}", (round + 1) % 7)));
        }
        commit(&source_store, batch).await;
    }
    let commits = changes(&source_store, &follower, start).await;
    let store = replica(target).await;
    store.apply(&commits[..10]).await.unwrap();
    let watched = commits[9].version;
    assert!(store.snapshot().await.unwrap().version() >= watched);
    store.apply(&commits[10..]).await.unwrap();
    assert_eq!(entries(&store).await, entries(&source_store).await);
    drop(store);
    target.restart().await;
    assert_eq!(entries(&target.replicated()).await, entries(&source_store).await);
}

pub async fn copying_and_applying_once_more_changes_nothing(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    let copied = portion(&[entry("a", "1", 11), entry("b", "2", 12)]);
    store.copy(copied.clone()).await.unwrap();
    store.copy(copied).await.unwrap();
    let first = committed(20, &[("a", Some("3")), ("c", Some("4"))]);
    let second = committed(30, &[("a", None), ("d", Some("5"))]);
    let third = committed(40, &[("c", Some("6"))]);
    store.apply(&[first.clone(), second.clone()]).await.unwrap();
    let expected = [entry("b", "2", 12), entry("c", "4", 20), entry("d", "5", 30)];
    assert_eq!(entries(&store).await, expected);
    // An answer may have been lost: alone, together, with what comes next, and after a restart.
    store.apply(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(entries(&store).await, expected);
    store.apply(&[first.clone(), second.clone()]).await.unwrap();
    assert_eq!(entries(&store).await, expected);
    drop(store);
    target.restart().await;
    let store = target.replicated();
    store.apply(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(entries(&store).await, expected);
    store.apply(&[first, second, third]).await.unwrap();
    let expected = [entry("b", "2", 12), entry("c", "6", 40), entry("d", "5", 30)];
    assert_eq!(entries(&store).await, expected);
    store.apply(&[]).await.unwrap();
    assert_eq!(entries(&store).await, expected);
}

pub async fn a_copy_does_not_replace_what_is_later(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    store.copy(portion(&[entry("a", "later", 20)])).await.unwrap();
    store.copy(portion(&[entry("a", "earlier", 10)])).await.unwrap();
    store
        .apply(&[committed(30, &[("b", Some("later"))])])
        .await
        .unwrap();
    store
        .copy(portion(&[entry("b", "earlier", 25), entry("c", "new", 26)]))
        .await
        .unwrap();
    let expected = [
        entry("a", "later", 20),
        entry("b", "later", 30),
        entry("c", "new", 26),
    ];
    assert_eq!(entries(&store).await, expected);
    // In one portion as well.
    store
        .copy(portion(&[entry("d", "later", 9), entry("d", "earlier", 8)]))
        .await
        .unwrap();
    let plain: Arc<dyn Store> = store;
    assert_eq!(text(&plain, "d").await.as_deref(), Some("later"));
}

/// A value that was bent on its way or on a disk is mended so.
pub async fn a_copy_replaces_what_has_its_version(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    let bent = [entry("a", "bent", 20), entry("b", "as it is", 30)];
    store.copy(portion(&bent)).await.unwrap();
    let good = [entry("a", "good", 20), entry("b", "as it is", 30)];
    store.copy(portion(&good[..1])).await.unwrap();
    assert_eq!(entries(&store).await, good);
    store.apply(&[]).await.unwrap();
    drop(store);
    target.restart().await;
    assert_eq!(entries(&target.replicated()).await, good);
}

pub async fn tokens_are_listed_in_order(
    source: &mut impl ReplicationSubject,
    _: &mut impl ReplicationSubject,
) {
    let store = source.replicated();
    assert_eq!(store.tokens(None).await.unwrap(), []);
    let mut expected = Vec::new();
    for text in ["m", "z", "a", "mm", "\0", "a\u{7f}"] {
        let version = commit(&store, with_token(put("a", text), text)).await;
        expected.push((token(text), version));
    }
    expected.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    assert_eq!(store.tokens(None).await.unwrap(), expected);
    for (position, (token, _)) in expected.iter().enumerate() {
        assert_eq!(store.tokens(Some(token)).await.unwrap(), expected[position + 1..]);
    }
    assert_eq!(store.tokens(Some(&token("b"))).await.unwrap(), expected[3..]);
    // More than a page.
    let writers = (0..40).map(|writer| {
        let store = store.clone();
        async move {
            for number in 0..MAX_PAGE_ENTRIES / 40 {
                let text = format!("n {writer:03} {number:05}");
                commit(&store, with_token(put(&format!("{writer}"), "1"), &text)).await;
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    writers.for_each(|writer| {
        tasks.spawn(writer);
    });
    tasks.join_all().await;
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|(token, _)| token);
        let page = store.tokens(after).await.unwrap();
        assert!(page.len() <= MAX_PAGE_ENTRIES);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found.len(), expected.len() + MAX_PAGE_ENTRIES);
    assert!(found.is_sorted_by(|one, other| one.0.as_bytes() < other.0.as_bytes()));
}

pub async fn tokens_are_remembered_by_the_copy(
    source: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let source_store = source.replicated();
    let copied = commit(&source_store, with_token(put("a", "1"), "copied")).await;
    let follower = name("copy");
    let start = follow(&source_store, &follower).await;
    let applied = commit(&source_store, with_token(put("a", "2"), "applied")).await;
    let store = replica(target).await;
    copy_all(&source_store, &store).await;
    let commits = changes(&source_store, &follower, start).await;
    store.apply(&commits).await.unwrap();
    let last = source_store.demote().await.unwrap();
    store.promote(last).await.unwrap();
    drop(store);
    for is_restarted in [false, true] {
        if is_restarted {
            target.restart().await;
        }
        let store = target.replicated();
        for (text, version) in [("copied", copied), ("applied", applied)] {
            let again = store.commit(with_token(put("b", "again"), text)).await.unwrap();
            assert_eq!((again.version, again.replayed), (version, true), "{text}");
        }
        let found = store.tokens(None).await.unwrap();
        assert_eq!(found, [(token("applied"), applied), (token("copied"), copied)]);
    }
    commit(&target.replicated(), with_token(put("b", "1"), "new")).await;
}

pub async fn what_is_applied_wakes_watches(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    let mut watch = store.watch("settings/".into());
    let mut other = store.watch("other/".into());
    for (version, text) in [(10, Some("1")), (20, None), (30, Some("2"))] {
        let commit = committed(version, &[("settings/a", text)]);
        store.apply(&[commit]).await.unwrap();
        watch.changed().await.unwrap();
        let page = store.scan(&crate::Scan::new(KeyRange::prefix("settings/"))).await;
        assert_eq!(page.unwrap().entries.len(), usize::from(text.is_some()));
    }
    store.copy(portion(&[entry("settings/b", "1", 5)])).await.unwrap();
    store
        .apply(&[committed(40, &[("other/a", Some("1"))])])
        .await
        .unwrap();
    other.changed().await.unwrap();
    watch.changed().await.expect("what was copied is there");
    let plain: Arc<dyn Store> = store;
    assert_eq!(text(&plain, "settings/b").await.as_deref(), Some("1"));
}

pub async fn a_replica_can_be_followed(
    _: &mut impl ReplicationSubject,
    target: &mut impl ReplicationSubject,
) {
    let store = replica(target).await;
    store.copy(portion(&[entry("a", "1", 10)])).await.unwrap();
    let follower = name("archive");
    let start = follow(&store, &follower).await;
    let commits = [
        committed(20, &[("a", Some("2"))]),
        Committed {
            token: Some(token("one")),
            ..committed(30, &[("a", None), ("b", Some("3"))])
        },
    ];
    store.apply(&commits).await.unwrap();
    store.apply(&commits).await.unwrap();
    assert_eq!(changes(&store, &follower, start).await, commits);
    store.promote(Version::from_u64(30)).await.unwrap();
    let own = put("c", "4");
    let version = commit(&store, own.clone()).await;
    drop(store);
    target.restart().await;
    let mut expected = commits.to_vec();
    expected.push(as_change(&own, version));
    assert_eq!(changes(&target.replicated(), &follower, start).await, expected);
}
