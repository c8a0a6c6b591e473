//! Many at once.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::workload::{self, Client};
use super::{Subject, key, stored, value};
use crate::batch::Batch;
use crate::error::CommitError;
use crate::history::Recorder;

/// The classic lost update: everybody adds one to the same counter.
pub async fn increments_are_not_lost(subject: &mut impl Subject) {
    const CLIENTS: usize = 8;
    const INCREMENTS: usize = 25;
    let store = subject.store();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            let mut done = 0;
            while done < INCREMENTS {
                let before = stored(&store, "counter").await;
                let count: usize = before.as_ref().map_or(0, |stored| {
                    String::from_utf8_lossy(stored.value.as_ref()).parse().unwrap()
                });
                let mut batch = Batch::new();
                batch.require_version(key("counter"), before.map(|stored| stored.version));
                batch.put(key("counter"), value((count + 1).to_string()));
                match store.commit(batch).await {
                    Ok(_) => done += 1,
                    Err(CommitError::Conflict(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    clients.join_all().await;
    let total = stored(&store, "counter").await.unwrap();
    assert_eq!(total.value, value((CLIENTS * INCREMENTS).to_string()));
}

/// Random transactions, over restarts, judged by the history checker.
pub async fn histories_are_strictly_serialisable(subject: &mut impl Subject) {
    let recorder = Arc::new(Recorder::new());
    let ids = Arc::new(AtomicU64::new(1));
    for _ in 0..3 {
        let unknown = workload::run(&subject.store(), &recorder, &ids, 8, 60).await;
        assert!(unknown.is_empty(), "nothing went wrong");
        subject.restart().await;
        Client::new(subject.store(), 0).look(recorder.as_ref()).await;
    }
    let summary = recorder
        .history()
        .check()
        .unwrap_or_else(|violation| panic!("{violation}"));
    assert!(summary.commits > 300, "{summary:?}");
    assert!(summary.conflicts > 0, "{summary:?}");
}
