//! Conditions hold at the place of the commit, or nothing is written.

use super::{Subject, all, commit, conflict, key, put, scan, stored, text, value};
use crate::batch::{Batch, Condition};
use crate::key::KeyRange;
use crate::port::Scan;
use crate::version::Version;

pub async fn a_key_at_its_version(subject: &mut impl Subject) {
    let store = subject.store();
    let first = commit(&store, put("a", "1")).await;
    let mut batch = put("a", "2");
    batch.require_version(key("a"), Some(first));
    let second = commit(&store, batch.clone()).await;

    let found = conflict(&store, batch).await;
    assert_eq!((found.position, found.found), (0, Some(second)));
    assert_eq!(text(&store, "a").await.as_deref(), Some("2"));

    let mut batch = put("b", "1");
    batch.require_version(key("missing"), Some(first));
    assert_eq!(conflict(&store, batch).await.found, None);
    assert_eq!(text(&store, "b").await, None);

    // The condition may be about a key that is only read.
    let mut batch = put("b", "1");
    batch.require_version(key("a"), Some(second));
    commit(&store, batch).await;
}

pub async fn an_absent_key(subject: &mut impl Subject) {
    let store = subject.store();
    let mut batch = put("a", "1");
    batch.require_version(key("a"), None);
    let version = commit(&store, batch.clone()).await;
    assert_eq!(conflict(&store, batch.clone()).await.found, Some(version));

    let mut remove = Batch::new();
    remove.delete(key("a"));
    commit(&store, remove).await;
    commit(&store, batch).await;
}

pub async fn the_first_failing_condition_is_named(subject: &mut impl Subject) {
    let store = subject.store();
    let version = commit(&store, put("a", "1")).await;
    let mut batch = put("c", "1");
    batch
        .require_version(key("a"), Some(version))
        .require_version(key("b"), None)
        .require_version(key("a"), None)
        .require_version(key("d"), Some(version));
    let found = conflict(&store, batch).await;
    assert_eq!(found.position, 2);
    assert_eq!(found.condition, Condition::KeyAbsent { key: key("a") });
    assert!(found.to_string().contains("`a`"), "{found}");
    assert_eq!(stored(&store, "c").await, None);
}

pub async fn an_unchanged_range(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("r/1", "1")).await;
    commit(&store, put("s", "1")).await;
    let page = scan(&store, Scan::new(KeyRange::prefix("r/"))).await;

    // Outside of it, anything may happen.
    commit(&store, put("s", "2")).await;
    commit(&store, put("r", "2")).await;
    let mut batch = put("done", "1");
    batch.require(page.unchanged());
    commit(&store, batch.clone()).await;

    // The batch's own writes do not count as changes.
    let mut batch = put("r/2", "1");
    batch.require(page.unchanged());
    let version = commit(&store, batch.clone()).await;
    let mut batch = put("r/3", "1");
    batch.require(page.unchanged());
    let found = conflict(&store, batch).await;
    assert_eq!(found.position, 0);
    assert!(found.found.is_none_or(|found| found == version));

    // Rewriting a key to what it was is a change.
    let page = scan(&store, Scan::new(KeyRange::prefix("r/"))).await;
    commit(&store, put("r/1", "1")).await;
    let mut batch = put("done", "2");
    batch.require(page.unchanged());
    conflict(&store, batch).await;
    assert_eq!(text(&store, "done").await.as_deref(), Some("1"));
}

pub async fn a_range_notices_what_went(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("r/1", "1")).await;
    commit(&store, put("r/2", "1")).await;
    let page = scan(&store, Scan::new(KeyRange::prefix("r/"))).await;
    let empty = scan(&store, Scan::new(KeyRange::prefix("q/"))).await;
    let mut remove = Batch::new();
    remove.delete(key("r/1"));
    commit(&store, remove).await;
    let mut batch = put("done", "1");
    batch.require(page.unchanged());
    conflict(&store, batch).await;

    let mut batch = put("q/1", "1");
    batch.require(empty.unchanged());
    commit(&store, batch.clone()).await;
    conflict(&store, batch).await;
}

pub async fn a_page_guards_only_what_it_shows(subject: &mut impl Subject) {
    let store = subject.store();
    for name in ["r/1", "r/3", "r/5", "r/7"] {
        commit(&store, put(name, "1")).await;
    }
    let whole = Scan::new(KeyRange::prefix("r/")).limit(2);
    let front = scan(&store, whole.clone()).await;
    let back = scan(&store, whole.backward()).await;
    let guarded = |page: &crate::Page| {
        let mut batch = put("done", "1");
        batch.require(page.unchanged());
        batch
    };
    // Between the two pages.
    commit(&store, put("r/4", "1")).await;
    commit(&store, guarded(&front)).await;
    commit(&store, guarded(&back)).await;
    commit(&store, put("r/6", "1")).await;
    commit(&store, guarded(&front)).await;
    conflict(&store, guarded(&back)).await;
    commit(&store, put("r/2", "1")).await;
    conflict(&store, guarded(&front)).await;
}

/// A snapshot that is many commits old: nothing short of looking can tell.
pub async fn an_old_range_is_still_checked(subject: &mut impl Subject) {
    let store = subject.store();
    commit(&store, put("r/1", "1")).await;
    commit(&store, put("t/1", "1")).await;
    let page = scan(&store, Scan::new(KeyRange::prefix("r/"))).await;
    let other = scan(&store, Scan::new(KeyRange::prefix("t/"))).await;
    commit(&store, put("t/1", "2")).await;
    for round in 0..30 {
        let mut batch = Batch::new();
        for index in 0..1_000 {
            batch.put(key(format!("s/{round}/{index}")), value("filler"));
        }
        commit(&store, batch).await;
    }
    let mut batch = put("done", "1");
    batch.require(page.unchanged());
    commit(&store, batch).await;
    let mut batch = put("done", "2");
    batch.require(other.unchanged());
    conflict(&store, batch).await;

    // A version that nobody gave out is never the present one.
    let mut batch = put("done", "3");
    batch.require(Condition::RangeUnchanged {
        range: KeyRange::prefix("r/"),
        since: Version::ZERO,
        count: 1,
    });
    conflict(&store, batch).await;
    assert!(!all(&store).await.entries.is_empty());
}
