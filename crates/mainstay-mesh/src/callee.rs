//! What can be called: an app with its replicas.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use mainstay_base::ReplicaId;
use tokio::sync::watch;

use crate::replica::Replica;
use crate::{Endpoint, TargetConfig};

/// An app that can be called, as configured now.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) config: TargetConfig,
    pub(crate) state: Arc<CalleeState>,
}

/// What outlives a change of the configuration.
#[derive(Debug)]
pub(crate) struct CalleeState {
    /// Those that take calls.
    pub(crate) replicas: ArcSwap<Vec<Arc<Replica>>>,
    /// Those that take no more calls but may have some under way.
    leaving: Mutex<Vec<Weak<Replica>>>,
    /// Counts changes of `replicas`, for those who wait for one.
    changes: watch::Sender<u64>,
    workers: usize,
}

impl CalleeState {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            replicas: ArcSwap::default(),
            leaving: Mutex::default(),
            changes: watch::Sender::default(),
            workers,
        }
    }

    /// Makes `endpoints` the replicas that take calls. Those that stay keep what they have learnt.
    pub(crate) fn set_replicas(&self, endpoints: &[Endpoint]) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.replicas.load_full();
        let after: Vec<_> = endpoints
            .iter()
            .filter_map(|endpoint| {
                let known = before.iter().find(|replica| replica.is_at(endpoint)).cloned();
                known.or_else(|| Replica::new(endpoint, self.workers).map(Arc::new))
            })
            .collect();
        leaving.retain(|replica| replica.strong_count() > 0);
        leaving.extend(
            before
                .iter()
                .filter(|replica| !after.iter().any(|stays| Arc::ptr_eq(stays, replica)))
                .map(Arc::downgrade),
        );
        self.replicas.store(Arc::new(after));
        drop(leaving);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Gives `id` no more calls and waits until those under way have ended, at most for `limit`.
    pub(crate) async fn drain(&self, id: &ReplicaId, limit: Duration) {
        let endpoints: Vec<_> = self
            .replicas
            .load()
            .iter()
            .filter(|replica| replica.id != *id)
            .map(|replica| Endpoint {
                replica: replica.id.clone(),
                address: replica.address,
            })
            .collect();
        self.set_replicas(&endpoints);
        let leaving: Vec<_> = {
            let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving
                .iter()
                .filter_map(Weak::upgrade)
                .filter(|replica| replica.id == *id)
                .collect()
        };
        let drained = async {
            for replica in leaving {
                replica.drained().await;
            }
        };
        // Whatever is still under way is the one's who drains to judge.
        let _ = tokio::time::timeout(limit, drained).await;
    }
}
