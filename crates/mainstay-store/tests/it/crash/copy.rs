//! A copy of the store that follows it in the same process, and is killed with it.
//!
//! Whatever moment that is, the copy can go on from what it has confirmed, and becomes what the store is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::{Entry, FollowerName, KeyRange, Replicated, Role, Scan, Store, Token, Version};

pub(crate) fn options(folder: &Path) -> Options {
    let mut options = super::options(&super::disk(folder).join("copy"));
    // Other moments than those of the store.
    options.memtable_bytes /= 2;
    options
}

fn name() -> FollowerName {
    FollowerName::new("copy").unwrap()
}

/// Begins to follow, or goes on after what was confirmed. Nothing is copied, because the store is empty at first.
pub(crate) async fn follow(store: &Embedded, copy: &Embedded) -> Version {
    copy.demote().await.unwrap();
    store.follow(&name()).await.unwrap()
}

/// Does what the store does until the task is ended.
pub(crate) async fn keep_up(store: Arc<Embedded>, copy: Arc<Embedded>, mut after: Version) {
    let mut watch = store.watch(Bytes::new());
    while watch.changed().await.is_ok() {
        after = catch_up(&store, &copy, after).await;
    }
}

async fn catch_up(store: &Embedded, copy: &Embedded, mut after: Version) -> Version {
    loop {
        let changes = store.changes(&name(), after).await.unwrap();
        copy.apply(&changes.commits).await.unwrap();
        after = changes.up_to;
        store.confirm(&name(), after).await.unwrap();
        if !changes.has_more {
            return after;
        }
    }
}

/// Opens the copy, lets it catch up, and compares. Says up to where it had come by itself.
pub(crate) async fn check(store: &Embedded, folder: &Path, round: u64) -> Version {
    let copy = Embedded::open(&options(folder)).unwrap_or_else(|error| panic!("round {round}: {error}"));
    let confirmed = follow(store, &copy).await;
    catch_up(store, &copy, confirmed).await;
    assert_eq!(copy.role().await, Ok(Role::Replica));
    assert!(
        entries(&copy).await == entries(store).await,
        "round {round}: the copy differs"
    );
    assert!(
        tokens(&copy).await == tokens(store).await,
        "round {round}: tokens of the copy differ"
    );
    let following = store.followers().await.unwrap();
    assert_eq!(
        (following.len(), following[0].kept_bytes),
        (1, 0),
        "round {round}"
    );
    confirmed
}

async fn entries(store: &Embedded) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = Some(KeyRange::all());
    while let Some(range) = rest {
        let page = store.scan(&Scan::new(range)).await.unwrap();
        entries.extend(page.entries);
        rest = page.rest;
    }
    entries
}

async fn tokens(store: &Embedded) -> Vec<(Token, Version)> {
    let mut tokens: Vec<(Token, Version)> = Vec::new();
    loop {
        let after = tokens.last().map(|(token, _)| token);
        let page = store.tokens(after).await.unwrap();
        if page.is_empty() {
            return tokens;
        }
        tokens.extend(page);
    }
}
