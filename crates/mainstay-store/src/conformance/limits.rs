//! Sizes.

use super::{Subject, commit, key, value};
use crate::batch::Batch;
use crate::error::{CommitError, ReadError};
use crate::key::{AppendPrefix, Key, Value};
use crate::limits::{
    APPEND_SUFFIX_BYTES, MAX_BATCH_BYTES, MAX_BATCH_WRITES, MAX_KEY_BYTES, MAX_READ_KEYS, MAX_VALUE_BYTES,
};

pub async fn the_largest_fit(subject: &mut impl Subject) {
    let longest = Key::new(vec![b'k'; MAX_KEY_BYTES]).unwrap();
    let largest = Value::new(vec![b'v'; MAX_VALUE_BYTES]).unwrap();
    let mut batch = Batch::new();
    batch.put(longest.clone(), largest.clone());
    let log = AppendPrefix::new(vec![b'l'; MAX_KEY_BYTES - APPEND_SUFFIX_BYTES]).unwrap();
    batch.append(log.clone(), largest.clone());
    let version = commit(&subject.store(), batch).await;

    let mut full = Batch::new();
    for index in 0..8 {
        let name = key(format!("full/{index:02}"));
        full.put(name, value("x".repeat(MAX_BATCH_BYTES / 8 - "full/00".len())));
    }
    assert_eq!(full.size_bytes(), MAX_BATCH_BYTES);
    let mut many = Batch::new();
    for index in 0..MAX_BATCH_WRITES {
        many.put(key(format!("many/{index}")), value("x"));
    }
    commit(&subject.store(), full).await;
    commit(&subject.store(), many).await;

    for _ in 0..2 {
        let store = subject.store();
        let keys = [longest.clone(), Key::appended(&log, version, 0)];
        for stored in store.read(&keys).await.unwrap().values {
            assert!(stored.is_some_and(|stored| stored.value == largest));
        }
        let keys: Vec<_> = (0..MAX_READ_KEYS)
            .map(|index| key(format!("many/{index}")))
            .collect();
        let read = store.read(&keys).await.unwrap();
        assert!(read.values.iter().all(Option::is_some));
        drop(store);
        subject.restart().await;
    }
}

pub async fn more_is_refused(subject: &mut impl Subject) {
    let store = subject.store();
    let mut twice = Batch::new();
    twice.put(key("a"), value("1")).put(key("a"), value("2"));
    for batch in [Batch::new(), twice] {
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error, CommitError::Invalid(_)), "{error}");
    }
    let keys = vec![key("a"); MAX_READ_KEYS + 1];
    let error = store.read(&keys).await.unwrap_err();
    assert_eq!(error, ReadError::TooManyKeys(MAX_READ_KEYS + 1));
    assert!(super::all(&store).await.entries.is_empty());
}
