use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Store, Subject, entry, key, prefix};
use crate::Selection;

const ROUNDS: usize = 300;

/// Where the values come from: a number that only grows.
#[derive(Default)]
struct Source(AtomicU64);

async fn load(store: Store, source: Arc<Source>) {
    for round in 0..ROUNDS {
        let fence = store.get("a/1").await.fence;
        let number = source.0.load(Ordering::SeqCst);
        // Somebody has the chance to come in between.
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        let value = Bytes::copy_from_slice(&number.to_le_bytes());
        store
            .put("a/1", entry(value), fence)
            .await
            .expect("it can be reached");
    }
}

async fn change(store: Store, source: Arc<Source>) {
    for round in 0..ROUNDS {
        let number = source.0.fetch_add(1, Ordering::SeqCst) + 1;
        let selection = match round % 4 {
            0 => prefix("a/"),
            1 => Selection::All,
            _ => key("a/1"),
        };
        store.invalidate(&selection).await.expect("it can be reached");
        if let Some(found) = store.get("a/1").await.entry {
            let bytes = found.value.as_ref().try_into().expect("it is a number");
            let found = u64::from_le_bytes(bytes);
            assert!(
                found >= number,
                "found {found} after {number} was invalidated: {selection:?}"
            );
        }
    }
}

/// Loads and invalidations from two processes at once: who has invalidated never finds what was there before.
pub async fn nothing_older_than_an_invalidation_is_found(subject: &impl Subject) {
    let source = Arc::new(Source::default());
    let mut tasks = tokio::task::JoinSet::new();
    for store in [subject.store(), subject.elsewhere()] {
        for _ in 0..2 {
            tasks.spawn(load(store.clone(), source.clone()));
            tasks.spawn(change(store.clone(), source.clone()));
        }
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
