//! How much extra load retries may make.

use std::time::Duration;

use mainstay_base::Timestamp;

/// How much extra load retries may make.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetPolicy {
    /// Retries per call, `0.2` is 20 %.
    pub ratio: f64,
    /// Retries per second that are always allowed.
    pub min_per_second: f64,
    /// How long a call counts.
    pub window: Duration,
}

/// A token bucket after Finagle's `RetryBudget`. Lock-free; charge it when the retry is scheduled.
#[derive(Debug)]
pub struct RetryBudget {}

impl RetryBudget {
    /// A budget on `policy`.
    pub fn new(policy: &BudgetPolicy, now: Timestamp) -> Self {
        let _ = (policy, now);
        todo!("policy")
    }

    /// A first attempt was made.
    pub fn deposit(&self, now: Timestamp) {
        let _ = now;
        todo!("policy")
    }

    /// Takes one retry out; `false` when none is left.
    pub fn withdraw(&self, now: Timestamp) -> bool {
        let _ = now;
        todo!("policy")
    }

    /// Retries that could be made now.
    pub fn balance(&self, now: Timestamp) -> f64 {
        let _ = now;
        todo!("policy")
    }
}
