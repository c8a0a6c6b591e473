//! What the data plane knows, for `status`, `explain` and the tests.

use std::net::SocketAddr;

use mainstay_base::{AppId, ReplicaId};
use mainstay_policy::breaker::BreakerState;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every edge.
    pub edges: Vec<EdgeReport>,
    /// Every callee.
    pub targets: Vec<TargetReport>,
}

/// One edge.
#[derive(Clone, Debug)]
pub struct EdgeReport {
    /// Who calls.
    pub caller: AppId,
    /// Who is called.
    pub target: AppId,
    /// Calls ended, whatever their end.
    pub calls: u64,
    /// Calls that got no good answer.
    pub failures: u64,
    /// Calls answered by a fallback.
    pub fallbacks: u64,
    /// Attempts made; more than calls when there were retries.
    pub attempts: u64,
    /// Retries that could be made now.
    pub retry_budget: f64,
    /// Where the breaker stands.
    pub breaker: BreakerState,
    /// Median and 99th percentile of all calls in seconds, from their histogram.
    pub latency_seconds: Option<(f64, f64)>,
}

/// One callee.
#[derive(Clone, Debug)]
pub struct TargetReport {
    /// Its name.
    pub app: AppId,
    /// Calls inside.
    pub in_flight: u32,
    /// Calls waiting at the door.
    pub waiting: usize,
    /// Calls turned away.
    pub shed: u64,
    /// Its replicas.
    pub replicas: Vec<ReplicaReport>,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct ReplicaReport {
    /// Which; external services have one of index 1.
    pub replica: ReplicaId,
    /// Where it listens, where that is known.
    pub address: Option<SocketAddr>,
    /// Whether it is left out for failing.
    pub ejected: bool,
    /// The learnt limit.
    pub limit: u32,
    /// Calls under way.
    pub in_flight: u32,
}
