//! What runs and what flows, in the shapes of [`crate::wire`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_host::{AppStatus, ReplicaState, ReplicaStatus, Snapshot};
use mainstay_mesh::{EdgeReport, ReplicaReport, Report, TargetReport};
use mainstay_policy::breaker::BreakerState;

use crate::wire::{App, Breaker, Edge, Exit, Latency, Replica, State, Status, Target, TargetReplica};

/// Everything at one moment.
pub(super) fn status(snapshot: &Snapshot, report: &Report) -> Status {
    Status {
        stopping: snapshot.stopping,
        apps: snapshot.apps.iter().map(app).collect(),
        targets: report.targets.iter().map(target).collect(),
        edges: report.edges.iter().map(edge).collect(),
    }
}

/// Milliseconds since 1970; 0 for a clock that is set before that.
fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn app(status: &AppStatus) -> App {
    App {
        app: status.app.to_string(),
        replicas: status.replicas.iter().map(replica).collect(),
    }
}

fn replica(status: &ReplicaStatus) -> Replica {
    Replica {
        replica: status.id.to_string(),
        index: status.id.index,
        state: state(&status.state),
        since_unix_ms: unix_ms(status.since),
        pid: status.pid,
        port: status.port,
        restarts: status.restarts,
        last_exit: status.last_exit.map(|exit| match exit {
            mainstay_host::Exit::Code(code) => Exit::Code(code),
            mainstay_host::Exit::Signal(signal) => Exit::Signal(signal),
        }),
        cpu_seconds: status.usage.cpu.as_secs_f64(),
        memory_bytes: status.usage.memory_bytes,
        open_files: status.usage.open_files,
        processes: status.usage.processes,
    }
}

fn state(state: &ReplicaState) -> State {
    match state {
        ReplicaState::Waiting(needs) => State::Waiting {
            waits_for: needs.clone(),
        },
        ReplicaState::Starting => State::Starting,
        ReplicaState::Ready => State::Ready,
        ReplicaState::Unready(reason) => State::Unready {
            reason: reason.clone(),
        },
        ReplicaState::Draining => State::Draining,
        ReplicaState::Stopping => State::Stopping,
        ReplicaState::Completed => State::Completed,
        ReplicaState::BackOff(wait) => State::BackOff {
            restart_in_ms: millis(*wait),
        },
        ReplicaState::CrashLoop(wait) => State::CrashLoop {
            restart_in_ms: millis(*wait),
        },
        ReplicaState::Failed(reason) => State::Failed {
            reason: reason.clone(),
        },
        ReplicaState::Stopped => State::Stopped,
    }
}

fn target(report: &TargetReport) -> Target {
    Target {
        target: report.app.to_string(),
        in_flight: report.in_flight,
        waiting: report.waiting as u64,
        shed_total: report.shed,
        replicas: report.replicas.iter().map(target_replica).collect(),
    }
}

fn target_replica(report: &ReplicaReport) -> TargetReplica {
    TargetReplica {
        replica: report.replica.to_string(),
        address: report.address.map(|address| address.to_string()),
        ejected: report.ejected,
        concurrency_limit: report.limit,
        in_flight: report.in_flight,
    }
}

fn edge(report: &EdgeReport) -> Edge {
    // Past the last bound of the histogram there is no number to tell.
    let known = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite());
    Edge {
        caller: report.caller.to_string(),
        target: report.target.to_string(),
        calls_total: report.calls,
        failures_total: report.failures,
        fallbacks_total: report.fallbacks,
        attempts_total: report.attempts,
        retries_total: report.retries,
        retry_budget: report.retry_budget,
        breaker: match report.breaker {
            BreakerState::Closed => Breaker::Closed,
            BreakerState::Open => Breaker::Open,
            BreakerState::HalfOpen => Breaker::HalfOpen,
            BreakerState::Ramping => Breaker::Ramping,
        },
        latency: report.latency_seconds.map(|(p50, p99)| Latency {
            p50_seconds: known(p50),
            p99_seconds: known(p99),
        }),
    }
}
