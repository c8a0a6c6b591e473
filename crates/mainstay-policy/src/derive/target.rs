//! What protects one callee, whoever calls.

use mainstay_base::format_duration;

use super::derived::{Derived, Field};
use super::figures::{
    EJECT_BUDGETS, EJECT_CONSECUTIVE, EJECT_FLOOR, EJECT_MAX, EJECT_MIN, LIMIT_INITIAL, LIMIT_MAX, LIMIT_MIN,
    MIN_CALLS, QUEUE_INTERVAL, QUEUE_INTERVAL_PER_TARGET, QUEUE_MAX, WINDOW, doubling, percent,
};
use super::{Origin, Promise};
use crate::TargetPolicy;
use crate::ejection::EjectionPolicy;
use crate::gate::QueuePolicy;
use crate::limiter::LimitPolicy;

/// A number of a [`TargetPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetField {
    /// How many calls one replica is given at a time.
    Limit,
    /// Where that starts.
    LimitInitial,
    /// How many calls wait for their turn.
    QueueLength,
    /// How long they wait.
    QueueWait,
    /// Failures in a row that leave a replica out.
    EjectAfter,
    /// The share of good answers below which it is left out.
    EjectBelow,
    /// How long it is left out.
    EjectFor,
    /// How long running calls may take to end when a replica stops.
    Drain,
}

impl TargetField {
    /// Its name in tables and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::LimitInitial => "limit_initial",
            Self::QueueLength => "queue_length",
            Self::QueueWait => "queue_wait",
            Self::EjectAfter => "eject_after",
            Self::EjectBelow => "eject_below",
            Self::EjectFor => "eject_for",
            Self::Drain => "drain",
        }
    }
}

impl Field<TargetPolicy> for TargetField {
    fn show(self, policy: &TargetPolicy) -> String {
        let TargetPolicy {
            limit,
            queue,
            ejection,
            drain,
        } = policy;
        match self {
            Self::Limit => format!("{} to {} calls per replica", limit.min, limit.max),
            Self::LimitInitial => limit.initial.to_string(),
            Self::QueueLength => queue.max_waiting.to_string(),
            Self::QueueWait => format!(
                "{}, or {} while it stands",
                format_duration(queue.interval),
                format_duration(queue.target)
            ),
            Self::EjectAfter => format!("{} failures in a row", ejection.consecutive_failures),
            Self::EjectBelow if ejection.min_success_ratio <= 0.0 => "off".to_owned(),
            Self::EjectBelow => format!(
                "{} good of at least {} calls in {}",
                percent(ejection.min_success_ratio),
                ejection.min_calls,
                format_duration(ejection.window)
            ),
            Self::EjectFor => doubling(ejection.eject_min, ejection.eject_max),
            Self::Drain => format_duration(*drain),
        }
    }
}

/// Derives what protects `callee`, which runs as at most `replicas` copies.
pub fn derive_target(callee: &Promise, replicas: u32) -> Derived<TargetPolicy, TargetField> {
    use TargetField as F;

    let sla = &callee.sla;
    let max = sla.concurrency.unwrap_or(LIMIT_MAX).max(1);
    let failures = (EJECT_BUDGETS * sla.availability.error_budget()).max(EJECT_FLOOR);
    // As many as can be served within the longest time an answer may take (Little's law), so that who is let in to wait
    // has a chance.
    let rounds = callee.longest().as_secs_f64() / sla.latency.p99.as_secs_f64().max(f64::MIN_POSITIVE);
    let served = f64::from(replicas.max(1)) * f64::from(max) * rounds;
    let interval = sla.latency.p99.max(QUEUE_INTERVAL);
    let policy = TargetPolicy {
        limit: LimitPolicy {
            initial: LIMIT_INITIAL.min(max),
            min: LIMIT_MIN.min(max),
            max,
            latency: sla.latency.p99,
        },
        queue: QueuePolicy {
            max_waiting: (served.ceil() as usize).clamp(1, QUEUE_MAX),
            target: interval / QUEUE_INTERVAL_PER_TARGET,
            interval,
        },
        ejection: EjectionPolicy {
            consecutive_failures: EJECT_CONSECUTIVE,
            min_success_ratio: (1.0 - failures).max(0.0),
            min_calls: MIN_CALLS,
            window: WINDOW,
            eject_min: EJECT_MIN,
            eject_max: EJECT_MAX,
        },
        drain: callee.longest(),
    };
    let latency = callee.latency_origin();
    let (limit_sum, limit_origin) = match sla.concurrency {
        Some(_) => (
            "learnt, at most the promised concurrency",
            callee.concurrency_origin(),
        ),
        None => ("learnt from latency", Origin::Default),
    };
    let queue_sum = format!(
        "what is served in time: {} x {max} x {} / {}",
        plural(replicas),
        format_duration(callee.longest()),
        format_duration(sla.latency.p99)
    );
    let budget = percent(sla.availability.error_budget());
    let below_sum = format!("1 - max(20 x (1 - availability), 20%) = 1 - max(20 x {budget}, 20%)");
    Derived::new(policy)
        .because(F::Limit, limit_sum, limit_origin.clone())
        .because(
            F::LimitInitial,
            format!("min({LIMIT_INITIAL}, limit)"),
            limit_origin,
        )
        .because(F::QueueLength, queue_sum, latency.clone())
        .because(
            F::QueueWait,
            "CoDel: a twentieth of, within max(100ms, p99); the deadline of the call holds as well",
            latency.clone(),
        )
        .because(
            F::EjectAfter,
            "never more than half of the replicas, never the last",
            Origin::Default,
        )
        .because(F::EjectBelow, below_sum, callee.availability_origin())
        .because(F::EjectFor, "then one probe", Origin::Default)
        .because(F::Drain, callee.longest_sum(), latency)
}

fn plural(replicas: u32) -> String {
    match replicas {
        1 => "1 replica".to_owned(),
        several => format!("{several} replicas"),
    }
}
