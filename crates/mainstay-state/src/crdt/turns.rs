//! Merges into one value by one process, one after the other: they need not compete with each other, only with other processes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Keys share so many queues.
const QUEUES: u64 = 256;

/// The queues.
#[derive(Debug)]
pub(super) struct Turns(Vec<Mutex<()>>);

impl Turns {
    /// Waits until nobody else merges into these keys. Cancel safe.
    pub(super) async fn take(&self, keys: &[String]) -> Vec<MutexGuard<'_, ()>> {
        // In one order for all, so that no two wait for each other.
        let queues: BTreeSet<usize> = keys.iter().map(|key| queue(key)).collect();
        let mut guards = Vec::with_capacity(queues.len());
        for queue in queues.into_iter().filter_map(|queue| self.0.get(queue)) {
            guards.push(queue.lock().await);
        }
        guards
    }
}

fn queue(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % QUEUES).unwrap_or_default()
}

impl Default for Turns {
    fn default() -> Self {
        Self((0..QUEUES).map(|_| Mutex::default()).collect())
    }
}
