//! Watches wake, and miss nothing.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Subject, commit, put, text};
use crate::{ChangedKeys, Key, KeyWatch, Version};

/// Whether it is done without waiting.
fn is_ready(future: impl Future) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut context), Poll::Ready(_))
}

pub async fn a_watch_wakes(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("a/1", "1")).await;
    let mut watch = store.watch("a/".into());
    let mut everything = store.watch("".into());
    let mut exact = store.watch("a/2".into());
    let version = commit(&store, put("a/2", "1")).await;
    assert!(watch.changed().await.unwrap() >= version);
    assert!(everything.changed().await.unwrap() >= version);
    assert!(exact.changed().await.unwrap() >= version);

    let mut batch = crate::Batch::new();
    batch.delete(super::key("a/2"));
    let version = commit(&store, batch).await;
    assert!(watch.changed().await.unwrap() >= version);
}

pub async fn other_prefixes_do_not_wake(subject: &mut impl Subject) {
    let store = subject.store();
    let mut watch = store.watch("a/".into());
    let mut longer = store.watch("b/long".into());
    let mut other = store.watch("b/".into());
    let version = commit(&store, put("b/1", "1")).await;
    assert!(other.changed().await.unwrap() >= version);
    assert!(!is_ready(watch.changed()));
    assert!(!is_ready(longer.changed()));
    // Giving up on a change does not lose it.
    let version = commit(&store, put("a/1", "1")).await;
    assert!(watch.changed().await.unwrap() >= version);
}

/// One counts up; the other looks only when it was woken, and must see the last count.
pub async fn wake_ups_are_coalesced_and_never_missed(subject: &mut impl Subject) {
    const LAST: u32 = 300;
    let store = subject.store();
    let mut watch = store.watch("counter".into());
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for count in 1..=LAST {
                commit(&store, put("counter", &count.to_string())).await;
            }
        })
    };
    let mut wakes = 0;
    loop {
        watch.changed().await.unwrap();
        wakes += 1;
        if text(&store, "counter").await == Some(LAST.to_string()) {
            break;
        }
    }
    writer.await.unwrap();
    assert!(wakes <= LAST + 1, "{wakes} wake-ups for {LAST} commits");
}

/// Waits until this key is told with this version; gives the other keys that are told before.
async fn told(watch: &mut KeyWatch, key: &Key, version: Version) -> Vec<String> {
    let mut others = Vec::new();
    loop {
        let ChangedKeys::These(keys) = watch.changed().await.unwrap() else {
            continue;
        };
        let is_there = keys
            .iter()
            .any(|told| told.0 == key.as_ref() && told.1 >= version);
        others.extend(
            keys.iter()
                .map(|(key, _)| String::from_utf8_lossy(key).into_owned()),
        );
        if is_there {
            return others;
        }
    }
}

pub async fn a_key_watch_tells_the_keys(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("a/before", "1")).await;
    let mut watch = store.watch_keys("a/".into());
    commit(&store, put("b/1", "1")).await;
    let mut batch = put("a/1", "1");
    batch.put(super::key("a/2"), super::value("1"));
    batch.put(super::key("c/1"), super::value("1"));
    let version = commit(&store, batch).await;
    let mut keys = told(&mut watch, &super::key("a/2"), version).await;
    assert!(keys.iter().all(|key| key.starts_with("a/")), "{keys:?}");
    if !keys.contains(&"a/1".to_owned()) {
        keys.extend(told(&mut watch, &super::key("a/1"), version).await);
    }

    let mut batch = crate::Batch::new();
    batch.delete(super::key("a/1"));
    let version = commit(&store, batch).await;
    told(&mut watch, &super::key("a/1"), version).await;
    drop(watch);
    commit(&store, put("a/1", "1")).await;
}

/// One writes many keys, faster than the other takes them: each is told, or all are.
pub async fn a_key_watch_misses_none(subject: &mut impl Subject) {
    const KEYS: usize = 300;
    let store = subject.store();
    let mut watch = store.watch_keys("k/".into());
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..KEYS {
                commit(&store, put(&format!("k/{number}"), "1")).await;
            }
        })
    };
    let mut heard = std::collections::HashSet::new();
    while heard.len() < KEYS {
        match watch.changed().await.unwrap() {
            ChangedKeys::These(keys) => heard.extend(keys.into_iter().map(|(key, _)| key)),
            ChangedKeys::Any => break,
        }
    }
    writer.await.unwrap();
}
