//! One replica of a callee: where it is, how it does, the connections to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_base::{ReplicaId, Timestamp};
use mainstay_policy::TargetPolicy;
use mainstay_policy::balance::PeakEwma;
use mainstay_policy::ejection::{Ejection, Standing};
use mainstay_policy::limiter::Limiter;
use tokio::sync::Notify;

use crate::origin::Origin;
use crate::pool::Pool;

/// One replica. A restart makes a new one: what was learnt of the old process says nothing about the new.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) origin: Origin,
    pub(crate) pool: Pool,
    pub(crate) limiter: Limiter,
    pub(crate) ejection: Ejection,
    latency: PeakEwma,
    /// Exchanges under way, streams and upgraded connections included.
    open: AtomicUsize,
    ended: Notify,
}

impl Replica {
    pub(crate) fn new(
        id: ReplicaId,
        origin: Origin,
        policy: &TargetPolicy,
        workers: usize,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            pool: Pool::new(workers, origin.max_idle_age()),
            origin,
            limiter: Limiter::new(policy.limit.clone(), now),
            ejection: Ejection::new(&policy.ejection),
            latency: PeakEwma::new(),
            open: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// What giving it one more call would cost, when it is `assumed` to be like the others until it has answered.
    /// Infinite while it is left out.
    pub(crate) fn cost(&self, assumed: Duration, now: Timestamp) -> f64 {
        match self.ejection.standing(now) {
            Standing::In => self.latency.cost(self.limiter.in_flight(), assumed, now),
            Standing::Out | Standing::ProbeDue => f64::INFINITY,
        }
    }

    /// Whether it is left out for failing.
    pub(crate) fn is_ejected(&self, now: Timestamp) -> bool {
        self.ejection.standing(now) != Standing::In
    }

    /// Learns how long it takes to answer.
    pub(crate) fn answered_after(&self, latency: Duration, now: Timestamp) {
        self.latency.record(latency, now);
    }

    pub(crate) fn open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ended.notify_waiters();
        }
    }

    pub(crate) fn open_exchanges(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until nothing is under way.
    pub(crate) async fn drained(&self) {
        loop {
            // Enabled before the check, so that an end in between is not missed.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.open_exchanges() == 0 {
                return;
            }
            ended.await;
        }
    }
}
