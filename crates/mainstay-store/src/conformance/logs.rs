//! Appends: the store completes the key.

use std::sync::Arc;

use super::{Subject, commit, scan, value};
use crate::batch::Batch;
use crate::key::{AppendPrefix, Key, KeyRange};
use crate::port::{Scan, Store};

fn log() -> AppendPrefix {
    AppendPrefix::new("log/").unwrap()
}

pub async fn appends_keep_the_order_of_commits(subject: &mut impl Subject) {
    let store = subject.store();
    let mut expected = Vec::new();
    for round in 0..20 {
        let mut batch = Batch::new();
        let texts = [format!("{round} first"), format!("{round} second")];
        let positions = texts.clone().map(|text| batch.append(log(), value(text)));
        assert_eq!(positions, [0, 1]);
        let version = commit(&store, batch).await;
        for (position, text) in positions.into_iter().zip(texts) {
            expected.push((Key::appended(&log(), version, position), value(text), version));
        }
    }
    let page = scan(&store, Scan::new(KeyRange::prefix("log/"))).await;
    let found: Vec<_> = page
        .entries
        .into_iter()
        .map(|entry| (entry.key, entry.value, entry.version))
        .collect();
    assert_eq!(found, expected);
}

/// Many append; one reads from the last key it saw, and never asks twice.
pub async fn a_follower_misses_nothing(subject: &mut impl Subject) {
    const WRITERS: usize = 8;
    const ENTRIES: usize = 50;
    let store = subject.store();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for entry in 0..ENTRIES {
                let mut batch = Batch::new();
                batch.append(log(), value(format!("{writer}-{entry}")));
                commit(&store, batch).await;
            }
        });
    }
    let mut seen = follow(&store, WRITERS * ENTRIES).await;
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    seen.sort();
    let mut expected: Vec<_> = (0..WRITERS)
        .flat_map(|writer| (0..ENTRIES).map(move |entry| format!("{writer}-{entry}")))
        .collect();
    expected.sort();
    assert_eq!(seen, expected);
}

async fn follow(store: &Arc<dyn Store>, total: usize) -> Vec<String> {
    let mut watch = store.watch("log/".into());
    let mut range = KeyRange::prefix("log/");
    let mut seen = Vec::new();
    while seen.len() < total {
        let page = scan(store, Scan::new(range.clone()).limit(10)).await;
        match page.entries.last() {
            Some(last) => range = range.after(&last.key),
            None => {
                watch.changed().await.unwrap();
            }
        }
        let texts = page
            .entries
            .iter()
            .map(|entry| String::from_utf8_lossy(entry.value.as_ref()).into_owned());
        seen.extend(texts);
    }
    seen
}
