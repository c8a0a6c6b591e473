//! Reading what was written.

use std::collections::BTreeMap;

use mainstay_base::{Rng, SplitMix64};

use super::{Subject, all, commit, key, names, put, stored, text, value};
use crate::batch::Batch;
use crate::key::{Key, KeyRange, Value};
use crate::port::{Direction, Scan};

pub async fn what_is_put_can_be_read(subject: &mut impl Subject) {
    let store = subject.store();
    assert_eq!(text(&store, "a").await, None);
    commit(&store, put("a", "1")).await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
    commit(&store, put("a", "2")).await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("2"));
    commit(&store, put("a", "")).await;
    assert_eq!(text(&store, "a").await.as_deref(), Some(""));

    let keys = [key("b"), key("a"), key("a")];
    let read = store.read(&keys).await.unwrap();
    assert!(read.values[0].is_none());
    assert_eq!(read.values[1], read.values[2]);
    assert!(read.values[1].is_some());
    assert!(store.read(&[]).await.unwrap().values.is_empty());
}

pub async fn deletes_remove(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("a", "1")).await;
    commit(&store, put("b", "1")).await;
    let mut batch = Batch::new();
    batch.delete(key("a")).delete(key("never there"));
    commit(&store, batch).await;
    assert_eq!(text(&store, "a").await, None);
    assert_eq!(names(&all(&store).await), ["b"]);
    commit(&store, put("a", "2")).await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("2"));
}

pub async fn versions_grow_and_mark_what_was_written(subject: &mut impl Subject) {
    let store = subject.store();
    let first = commit(&store, put("a", "1")).await;
    let mut batch = put("b", "2");
    batch.put(key("c"), value("2"));
    let second = commit(&store, batch).await;
    assert!(first < second);
    for (name, version) in [("a", first), ("b", second), ("c", second)] {
        assert_eq!(stored(&store, name).await.unwrap().version, version, "{name}");
    }
    let page = all(&store).await;
    let versions: Vec<_> = page.entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [first, second, second]);
    assert!(page.at >= second);
    // Nothing else happens, so what a snapshot sees is where the next commit stands after.
    assert!(commit(&store, put("d", "3")).await > page.at);
}

pub async fn a_batch_is_atomic(subject: &mut impl Subject) {
    let store = subject.store();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..200 {
                let mut batch = Batch::new();
                for name in ["a", "m", "z"] {
                    batch.put(key(name), value(round.to_string()));
                }
                commit(&store, batch).await;
            }
        })
    };
    while !writer.is_finished() {
        let keys = ["z", "a", "m"].map(key);
        let read = store.read(&keys).await.unwrap();
        assert!(read.values.windows(2).all(|pair| pair[0] == pair[1]), "{read:?}");
        let page = all(&store).await;
        let mut values = page.entries.iter().map(|entry| &entry.value);
        let first = values.next();
        assert!(values.all(|value| Some(value) == first), "{page:?}");
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub async fn a_snapshot_does_not_change(subject: &mut impl Subject) {
    let store = subject.store();
    let first = commit(&store, put("a", "1")).await;
    commit(&store, put("b", "1")).await;
    let snapshot = store.snapshot().await.unwrap();
    assert!(snapshot.version() > first);

    commit(&store, put("a", "2")).await;
    commit(&store, put("c", "2")).await;
    let mut batch = Batch::new();
    batch.delete(key("b"));
    commit(&store, batch).await;

    let keys = ["a", "b", "c"].map(key);
    let read = snapshot.read(&keys).await.unwrap();
    assert_eq!(read.at, snapshot.version());
    let seen: Vec<_> = read
        .values
        .iter()
        .map(|stored| stored.as_ref().map(|stored| stored.value.clone()))
        .collect();
    assert_eq!(seen, [Some(value("1")), Some(value("1")), None]);
    let page = snapshot.scan(&Scan::new(KeyRange::all())).await.unwrap();
    assert_eq!(
        (names(&page), page.at),
        (vec!["a".to_owned(), "b".to_owned()], snapshot.version())
    );
    assert_eq!(names(&all(&store).await), ["a", "c"]);
}

/// What a snapshot shows is kept for as long as it lives, however much is overwritten meanwhile.
pub async fn a_snapshot_outlives_many_commits(subject: &mut impl Subject) {
    let store = subject.store();
    for index in 0..20 {
        commit(&store, put(&format!("{index:02}"), "first")).await;
    }
    let snapshot = store.snapshot().await.unwrap();
    let before = snapshot.scan(&Scan::new(KeyRange::all())).await.unwrap();
    for round in 0..100 {
        let mut batch = Batch::new();
        for index in 0..20 {
            let key = key(format!("{index:02}"));
            if (index + round) % 3 == 0 {
                batch.delete(key);
            } else {
                batch.put(key, value(format!("{round} {}", "x".repeat(50))));
            }
        }
        commit(&store, batch).await;
    }
    let after = snapshot.scan(&Scan::new(KeyRange::all())).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(after.entries.len(), 20);
    let keys: Vec<_> = before.entries.iter().map(|entry| entry.key.clone()).collect();
    let read = snapshot.read(&keys).await.unwrap();
    assert!(
        read.values
            .iter()
            .flatten()
            .all(|stored| stored.value == value("first"))
    );
    drop(snapshot);
    assert_eq!(text(&store, "00").await, None, "round 99 deleted it");
}

pub async fn keys_are_bytes(subject: &mut impl Subject) {
    let store = subject.store();
    let keys: Vec<Key> = [
        &[0][..],
        &[0, 0],
        &[0, 1],
        &[1],
        &[127],
        &[128],
        &[255],
        &[255, 0],
        &[255; 300],
    ]
    .into_iter()
    .map(|bytes| Key::new(bytes.to_vec()).unwrap())
    .collect();
    let mut batch = Batch::new();
    for key in keys.iter().rev() {
        batch.put(key.clone(), Value::new(key.as_bytes().clone()).unwrap());
    }
    commit(&store, batch).await;
    let page = all(&store).await;
    let found: Vec<_> = page.entries.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!(found, keys);
    let read = store.read(&keys).await.unwrap();
    for (key, stored) in keys.iter().zip(read.values) {
        assert_eq!(stored.unwrap().value.as_bytes(), key.as_bytes());
    }
}

/// Random batches against a map that is known to be right.
pub async fn it_is_a_sorted_map(subject: &mut impl Subject) {
    const SEED: u64 = 20_261_120;
    let store = subject.store();
    let mut rng = SplitMix64::new(SEED);
    let mut model = BTreeMap::new();
    for round in 0..150 {
        let mut batch = Batch::new();
        let mut names: Vec<u64> = (0..=rng.below(8)).map(|_| rng.below(60)).collect();
        names.sort_unstable();
        names.dedup();
        for number in names {
            let key = key(format!("{number:02}"));
            if rng.below(3) == 0 {
                model.remove(&key);
                batch.delete(key);
            } else {
                let value = value("x".repeat(rng.below(2_000) as usize));
                model.insert(key.clone(), value.clone());
                batch.put(key, value);
            }
        }
        commit(&store, batch).await;

        let (one, other) = (rng.below(61), rng.below(61));
        let range = KeyRange::between(format!("{:02}", one.min(other)), format!("{:02}", one.max(other)));
        let mut scan = Scan::new(range.clone());
        scan.limit = 1 + rng.below(70) as usize;
        let inside = model.iter().filter(|(key, _)| range.contains(key.as_ref()));
        let expected: Vec<_> = if rng.below(2) == 0 {
            inside.take(scan.limit).collect()
        } else {
            scan.direction = Direction::Backward;
            inside.rev().take(scan.limit).collect()
        };
        let page = store.scan(&scan).await.unwrap();
        let found: Vec<_> = page
            .entries
            .iter()
            .map(|entry| (&entry.key, &entry.value))
            .collect();
        assert_eq!(found, expected, "seed {SEED}, round {round}, {scan:?}");
    }
}
