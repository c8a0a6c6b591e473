//! What was answered stays.

use super::{Subject, all, commit, key, names, put, stored, value};
use crate::batch::Batch;
use crate::key::AppendPrefix;

pub async fn what_was_answered_is_there_after_a_restart(subject: &mut impl Subject) {
    for round in 0..4_u32 {
        let store = subject.store();
        let before = all(&store).await;
        let mut batch = put(&format!("put/{round}"), "1");
        batch.put(key("last"), value(round.to_string()));
        batch.append(AppendPrefix::new("log/").unwrap(), value(round.to_string()));
        if round > 0 {
            batch.delete(key(format!("put/{}", round - 1)));
        }
        let version = commit(&store, batch).await;
        let after = all(&store).await;
        drop(store);
        subject.restart().await;
        let store = subject.store();
        let found = all(&store).await;
        assert_eq!(found.entries, after.entries, "round {round}");
        assert_ne!(found.entries, before.entries);
        assert_eq!(stored(&store, "last").await.unwrap().version, version);
    }
    let names = names(&all(&subject.store()).await);
    assert_eq!(names.iter().filter(|name| name.starts_with("put/")).count(), 1);
    assert_eq!(names.iter().filter(|name| name.starts_with("log/")).count(), 4);
}

pub async fn versions_grow_over_restarts(subject: &mut impl Subject) {
    let mut last = commit(&subject.store(), put("a", "0")).await;
    for round in 1..4 {
        // A delete leaves nothing that could tell its version.
        let mut batch = Batch::new();
        batch.delete(key("a"));
        let deleted = commit(&subject.store(), batch).await;
        assert!(deleted > last);
        subject.restart().await;
        last = commit(&subject.store(), put("a", &round.to_string())).await;
        assert!(last > deleted);
    }
}
