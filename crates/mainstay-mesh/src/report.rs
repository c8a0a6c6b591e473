//! What the data plane knows, for `status`, `explain` and the tests.

use std::net::SocketAddr;

use mainstay_base::{AppId, Clock, ReplicaId, Timestamp};
use mainstay_policy::breaker::BreakerState;

use crate::callee::Callee;
use crate::edge::Edge;
use crate::mesh::Inner;
use crate::replica::Replica;

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
    /// Requests sent: first attempts, retries and hedges. Fewer than calls where a breaker or the door answered.
    pub attempts: u64,
    /// Attempts after the first of their call.
    pub retries: u64,
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
    /// Requests and streams under way.
    pub in_flight: u32,
}

impl Report {
    pub(crate) fn of(mesh: &Inner) -> Self {
        let now = mesh.clock.now();
        let entries = mesh.directory.entries();
        let mut targets: Vec<_> = entries
            .callees
            .values()
            .map(|callee| TargetReport::of(callee, now))
            .collect();
        targets.sort_by(|left, right| left.app.cmp(&right.app));
        Self {
            edges: entries
                .edges()
                .iter()
                .map(|edge| EdgeReport::of(edge, now))
                .collect(),
            targets,
        }
    }
}

impl EdgeReport {
    fn of(edge: &Edge, now: Timestamp) -> Self {
        let stats = &edge.stats;
        let quantile = |share| stats.duration.quantile_seconds(share);
        Self {
            caller: edge.config.caller.clone(),
            target: edge.config.target.clone(),
            calls: stats.calls(),
            failures: stats.failures(),
            fallbacks: stats.fallbacks.get(),
            attempts: stats.attempts.get(),
            retries: stats.retries.get(),
            retry_budget: edge.state.budget.balance(now),
            breaker: edge.state.breaker.state(),
            latency_seconds: quantile(0.5).zip(quantile(0.99)),
        }
    }
}

impl TargetReport {
    fn of(callee: &Callee, now: Timestamp) -> Self {
        let replicas = callee.state.replicas.load();
        Self {
            app: callee.app.clone(),
            in_flight: callee.gate.in_flight(),
            waiting: callee.gate.waiting(),
            shed: callee.state.stats.shed(),
            replicas: replicas
                .iter()
                .map(|replica| ReplicaReport::of(replica, now))
                .collect(),
        }
    }
}

impl ReplicaReport {
    fn of(replica: &Replica, now: Timestamp) -> Self {
        Self {
            replica: replica.id.clone(),
            address: replica.origin.address(),
            ejected: replica.is_ejected(now),
            limit: replica.limiter.limit(),
            in_flight: u32::try_from(replica.open_exchanges()).unwrap_or(u32::MAX),
        }
    }
}
