//! The numbers that the mechanisms run on.

use std::time::Duration;

use crate::breaker::BreakerPolicy;
use crate::budget::BudgetPolicy;
use crate::ejection::EjectionPolicy;
use crate::gate::QueuePolicy;
use crate::hedge::HedgePolicy;
use crate::limiter::LimitPolicy;
use crate::retry::RetryPolicy;

/// What a caller does about one callee.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgePolicy {
    /// How long one attempt may take. Streams are exempt once their head has arrived.
    pub attempt_timeout: Duration,
    /// How long the call may take with all its attempts, where the caller brings no deadline.
    pub call_timeout: Duration,
    /// An answer later than this breaches the SLA.
    pub slow_after: Duration,
    /// When and how often to try again.
    pub retry: RetryPolicy,
    /// How much extra load retries may make.
    pub budget: BudgetPolicy,
    /// When to stop asking.
    pub breaker: BreakerPolicy,
    /// Whether to send a second attempt before the first has failed.
    pub hedge: Option<HedgePolicy>,
}

/// What protects one callee, whoever calls.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPolicy {
    /// How many calls one replica is given at a time.
    pub limit: LimitPolicy,
    /// How long calls wait for their turn.
    pub queue: QueuePolicy,
    /// When a replica is left out.
    pub ejection: EjectionPolicy,
    /// How long running calls may take to end when a replica stops.
    pub drain: Duration,
}
