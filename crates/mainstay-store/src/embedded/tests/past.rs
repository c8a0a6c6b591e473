//! Snapshots that are held for long.

use std::collections::BTreeMap;

use super::*;
use crate::key::KeyRange;

const MEMTABLE_BYTES: u64 = 32 * 1_024;

fn lab() -> Lab {
    Lab::with(|options| options.memtable_bytes = MEMTABLE_BYTES)
}

/// Writes about as much as two memories hold, over the same keys again and again.
async fn churn(lab: &Lab, round: usize) {
    for number in 0..16 {
        let mut batch = Batch::new();
        batch.put(
            key(&format!("{number:02}")),
            Value::new(format!("{round} {}", "x".repeat(4_000))).unwrap(),
        );
        batch.put(key(&format!("new {round:04} {number:02}")), Value::default());
        lab.store().commit(batch).await.unwrap();
    }
}

type Contents = BTreeMap<Bytes, (Bytes, u64)>;

fn contents(page: Page) -> Contents {
    assert_eq!(page.rest, None);
    let entries = page.entries.into_iter();
    let entry = |entry: Entry| {
        let key = entry.key.as_bytes().clone();
        (key, (entry.value.into_bytes(), entry.version.as_u64()))
    };
    entries.map(entry).collect()
}

async fn seen(snapshot: &dyn Snapshot) -> Contents {
    contents(snapshot.scan(&Scan::new(KeyRange::all())).await.unwrap())
}

/// Waits until the tree remembers little beside what is read.
async fn remembers_at_most(lab: &Lab, states: usize) {
    let tree = &lab.store().reader.tree;
    let thinned = tokio::time::timeout(Duration::from_secs(30), async {
        let mut round = 10_000;
        while tree.state_count() > states {
            churn(lab, round).await;
            round += 1;
        }
    });
    thinned
        .await
        .unwrap_or_else(|_| panic!("{} states are remembered", tree.state_count()));
}

#[tokio::test]
async fn a_held_snapshot_keeps_little_in_memory() {
    let lab = lab();
    churn(&lab, 0).await;
    let held = lab.store().snapshot().await.unwrap();
    let expected = seen(held.as_ref()).await;
    let mut most_bytes = 0;
    for round in 1..60 {
        churn(&lab, round).await;
        most_bytes = most_bytes.max(lab.store().reader.tree.remembered_bytes());
    }
    // Three memories wait for their flush at most, one is written to, and the held state has as many.
    assert!(
        most_bytes < 20 * MEMTABLE_BYTES,
        "{most_bytes} bytes are held in memory"
    );
    assert_eq!(seen(held.as_ref()).await, expected);
    remembers_at_most(&lab, 9).await;
    assert_eq!(seen(held.as_ref()).await, expected);
    drop(held);
    remembers_at_most(&lab, 3).await;
}

/// Snapshots of many moments are read while states between them go.
#[tokio::test]
async fn every_snapshot_sees_its_moment() {
    let mut lab = lab();
    let mut held = Vec::new();
    for round in 0..60 {
        churn(&lab, round).await;
        if round % 4 == 0 {
            let snapshot = lab.store().snapshot().await.unwrap();
            let expected = seen(snapshot.as_ref()).await;
            assert!(expected.len() == 16 + 16 * (round + 1));
            held.push((snapshot, expected));
        }
        if held.len() > 6 {
            // Neither the oldest nor the latest.
            held.swap_remove(round % 6);
        }
        for (snapshot, expected) in &held {
            assert!(seen(snapshot.as_ref()).await == *expected, "round {round}");
        }
    }
    let last = contents(lab.store().scan(&Scan::new(KeyRange::all())).await.unwrap());
    drop(held);
    lab.reopen();
    let found = contents(lab.store().scan(&Scan::new(KeyRange::all())).await.unwrap());
    assert!(found == last);
}
