//! Traffic in the background of a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http::Method;
use tokio::task::JoinSet;

use super::{Client, eventually};

/// Clients that ask one after another until they are stopped.
pub struct Load {
    stopping: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    clients: JoinSet<Vec<String>>,
}

impl Load {
    /// `clients` clients that `GET` the same path.
    pub fn start(client: &Client, path: &str, clients: usize) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let good = Arc::new(AtomicU64::new(0));
        let mut set = JoinSet::new();
        for _ in 0..clients {
            let (client, path) = (client.clone(), path.to_owned());
            let (stopping, good) = (Arc::clone(&stopping), Arc::clone(&good));
            set.spawn(async move {
                let mut failures = Vec::new();
                while !stopping.load(Ordering::Relaxed) {
                    match client.attempt(Method::GET, &path, Bytes::new()).await {
                        Ok(answer) if answer.status.is_success() => {
                            good.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => failures.push(format!("{}: {}", answer.status, answer.text())),
                        Err(error) => failures.push(error),
                    }
                }
                failures
            });
        }
        Self {
            stopping,
            good,
            clients: set,
        }
    }

    /// Waits until `count` more requests were answered well.
    pub async fn more(&self, count: u64) {
        let goal = self.good.load(Ordering::Relaxed) + count;
        eventually("good answers", async || {
            (self.good.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends the traffic; panics when anything went wrong.
    pub async fn end_without_failure(self) {
        self.stopping.store(true, Ordering::Relaxed);
        let failures = self.clients.join_all().await.concat();
        assert!(
            failures.is_empty(),
            "{} failed, {} were answered well: {:?}",
            failures.len(),
            self.good.load(Ordering::Relaxed),
            failures.first()
        );
    }
}
