//! What can be called: an app or an external service, with its replicas and the door before them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use mainstay_base::{AppId, ReplicaId, Sla, Timestamp};
use mainstay_policy::TargetPolicy;
use mainstay_policy::ejection::{Standing, may_eject};
use mainstay_policy::gate::Gate;
use tokio::sync::watch;

use crate::AppProtocol;
use crate::metrics::CalleeStats;
use crate::origin::Origin;
use crate::replica::Replica;

/// A callee, as configured now.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) app: AppId,
    pub(crate) sla: Sla,
    pub(crate) policy: TargetPolicy,
    /// What it speaks; `None` for an external service.
    pub(crate) protocol: Option<AppProtocol>,
    /// The `dapr-api-token` it expects.
    pub(crate) token: Option<HeaderValue>,
    /// What is added to every request.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) state: Arc<CalleeState>,
}

/// What outlives a change of the configuration.
#[derive(Debug)]
pub(crate) struct CalleeState {
    /// Those that take calls.
    pub(crate) replicas: ArcSwap<Vec<Arc<Replica>>>,
    /// How many of them are left out for failing.
    pub(crate) ejected: AtomicUsize,
    /// How long the last answer took, in nanoseconds: what is assumed of a replica that has not answered yet.
    typical_nanos: AtomicU64,
    pub(crate) stats: CalleeStats,
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
            ejected: AtomicUsize::new(0),
            typical_nanos: AtomicU64::new(0),
            stats: CalleeStats::default(),
            leaving: Mutex::default(),
            changes: watch::Sender::default(),
            workers,
        }
    }
}

impl Callee {
    /// Makes `places` the replicas that take calls. Those that stay keep what they have learnt, unless `anew`.
    pub(crate) fn set_replicas(&self, places: Vec<(ReplicaId, Origin)>, anew: bool, now: Timestamp) {
        let state = &self.state;
        let mut leaving = state.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.replicas.load_full();
        let after: Vec<_> = places
            .into_iter()
            .map(|(id, origin)| {
                let stays =
                    |replica: &&Arc<Replica>| !anew && replica.id == id && replica.origin.is_same(&origin);
                before
                    .iter()
                    .find(stays)
                    .cloned()
                    .unwrap_or_else(|| Arc::new(Replica::new(id, origin, &self.policy, state.workers, now)))
            })
            .collect();
        let gone = |replica: &&Arc<Replica>| !after.iter().any(|stays| Arc::ptr_eq(stays, replica));
        leaving.retain(|replica| replica.strong_count() > 0);
        leaving.extend(before.iter().filter(gone).map(Arc::downgrade));
        state.replicas.store(Arc::new(after));
        drop(leaving);
        self.count_ejected(now);
        self.update_capacity(now);
        state.changes.send_modify(|changes| *changes += 1);
    }

    /// The replicas that take calls, as they would be given to [`Callee::set_replicas`].
    pub(crate) fn places(&self) -> Vec<(ReplicaId, Origin)> {
        let replicas = self.state.replicas.load();
        replicas
            .iter()
            .map(|replica| (replica.id.clone(), replica.origin.clone()))
            .collect()
    }

    /// Gives `id` no more calls and waits until those under way have ended, at most for `limit`.
    pub(crate) async fn drain(&self, id: &ReplicaId, limit: Duration, now: Timestamp) {
        let mut places = self.places();
        places.retain(|(replica, _)| replica != id);
        self.set_replicas(places, false, now);
        let leaving: Vec<_> = {
            let leaving = self.state.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            let mut leaving: Vec<_> = leaving.iter().filter_map(Weak::upgrade).collect();
            leaving.retain(|replica| replica.id == *id);
            leaving
        };
        let drained = async {
            for replica in leaving {
                replica.drained().await;
            }
        };
        // Whatever is still under way then is for the one who drains to judge.
        let _ = tokio::time::timeout(limit, drained).await;
    }

    /// One of the replicas has answered after `latency`.
    pub(crate) fn answered_after(&self, replica: &Replica, latency: Duration, now: Timestamp) {
        replica.answered_after(latency, now);
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.state.typical_nanos.store(nanos, Ordering::Relaxed);
    }

    /// What is assumed of a replica that has not answered yet.
    pub(crate) fn typical_latency(&self) -> Duration {
        Duration::from_nanos(self.state.typical_nanos.load(Ordering::Relaxed))
    }

    /// Waits until there is a replica.
    pub(crate) async fn has_replica(&self) {
        let mut changes = self.state.changes.subscribe();
        while self.state.replicas.load().is_empty() {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Lets in as many calls as the replicas that take part can take. While there is none the door stays as it was, so
    /// that calls wait for the next one in the usual order.
    pub(crate) fn update_capacity(&self, now: Timestamp) {
        let replicas = self.state.replicas.load();
        let takes_part = |replica: &&Arc<Replica>| replica.ejection.standing(now) != Standing::Out;
        let capacity: u32 = replicas
            .iter()
            .filter(takes_part)
            .map(|replica| replica.limiter.limit())
            .fold(0, u32::saturating_add);
        if capacity > 0 {
            self.gate.set_capacity(capacity);
        }
    }

    /// Whether one more replica may be left out.
    pub(crate) fn may_eject(&self) -> bool {
        let total = self.state.replicas.load().len();
        may_eject(self.state.ejected.load(Ordering::Relaxed), total)
    }

    /// Counts the replicas that are left out, after one of them changed.
    pub(crate) fn count_ejected(&self, now: Timestamp) {
        let replicas = self.state.replicas.load();
        let ejected = replicas
            .iter()
            .filter(|replica| replica.ejection.standing(now) != Standing::In);
        self.state.ejected.store(ejected.count(), Ordering::Relaxed);
    }
}
