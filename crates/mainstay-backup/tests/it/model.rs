//! Stores with known content.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mainstay_backup::format::Lock;
use mainstay_backup::repository::{Folder, Place};
use mainstay_backup::{BackupKey, Export, Plan, Progress, Restore, Verified, save};
use mainstay_store::simulated::Simulated;
use mainstay_store::{Batch, Key, KeyRange, Replicated, Scan, Store as _, Token, Value, Version};

/// What a store holds: keys with values and versions.
pub type Content = BTreeMap<Vec<u8>, (Vec<u8>, Version)>;

pub fn key(text: &str) -> Key {
    Key::new(text.to_owned()).expect("a key")
}

/// Gives a key a value.
pub async fn put(store: &dyn Replicated, name: &str, value: &str) -> Version {
    let mut batch = Batch::new();
    batch.put(key(name), Value::new(value.to_owned()).expect("a value"));
    store.commit(batch).await.expect("committed").version
}

/// The same under a token, or once more.
pub async fn put_once(
    store: &dyn Replicated,
    name: &str,
    value: &str,
    token: &'static str,
) -> (Version, bool) {
    let mut batch = Batch::new();
    batch.put(key(name), Value::new(value.to_owned()).expect("a value"));
    batch.set_token(Token::new(token).expect("a token"));
    let commit = store.commit(batch).await.expect("committed");
    (commit.version, commit.replayed)
}

pub async fn delete(store: &dyn Replicated, name: &str) -> Version {
    let mut batch = Batch::new();
    batch.delete(key(name));
    store.commit(batch).await.expect("committed").version
}

/// All that a store holds.
pub async fn content(store: &dyn Replicated) -> Content {
    let mut content = Content::new();
    let mut range = Some(KeyRange::all());
    while let Some(next) = range {
        let page = store.scan(&Scan::new(next)).await.expect("readable");
        for entry in page.entries {
            content.insert(
                entry.key.as_ref().to_vec(),
                (entry.value.as_ref().to_vec(), entry.version),
            );
        }
        range = page.rest;
    }
    content
}

/// A store with a few thousand keys, some of them large.
pub async fn filled() -> Arc<Simulated> {
    let store = Arc::new(Simulated::new());
    for hundred in 0..30 {
        let mut batch = Batch::new();
        for number in 0..100 {
            let value = vec![number as u8; 1 + number * number];
            batch.put(
                key(&format!("{hundred:03}/{number:03}")),
                Value::new(value).expect("a value"),
            );
        }
        store.commit(batch).await.expect("committed");
    }
    store
}

pub fn plan(key: Option<&BackupKey>) -> Plan {
    Plan {
        system: "shop".to_owned(),
        mainstay: "0.1.0".to_owned(),
        created_unix_ms: 1_795_180_448_250,
        key: key.cloned(),
        files: Vec::new(),
    }
}

pub fn quiet(_: &Progress) {}

/// A place in a folder.
pub fn place(folder: &Path, name: &str) -> Place {
    Place {
        repository: Arc::new(Folder::new(folder)),
        name: name.to_owned(),
    }
}

/// Backs a store up.
pub async fn back_up<S: Replicated>(store: &Arc<S>, place: &Place, plan: &Plan) -> Verified {
    let source = Export::begin(store.clone()).await.expect("a snapshot");
    save(source, plan, place, &quiet).await.expect("backed up")
}

/// What restoring a backup takes.
pub fn restore(backup: Place, key: Option<&BackupKey>) -> Restore {
    Restore {
        backup,
        archive: None,
        until: None,
        lock: key.map_or(Lock::Open, |key| Lock::Key(key.clone())),
    }
}

/// The names in a folder, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
