//! Hedging: a second attempt before the first has failed (Dean and Barroso, "The Tail at Scale").

use std::time::Duration;

use mainstay_base::Timestamp;

/// Whether and when to send a second attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct HedgePolicy {
    /// Extra calls that hedging may make, `0.05` is 5 %.
    pub ratio: f64,
    /// The shortest wait before the second attempt.
    pub min_delay: Duration,
}

/// Learns the latency after which a second attempt pays, and keeps it within its budget.
#[derive(Debug)]
pub struct Hedge {}

impl Hedge {
    /// Hedging on `policy`; `expected` is the latency assumed until enough calls were seen.
    pub fn new(policy: &HedgePolicy, expected: Duration, now: Timestamp) -> Self {
        let _ = (policy, expected, now);
        todo!("policy")
    }

    /// A call begins: how long to wait before a second attempt (the 95th percentile of what was seen).
    pub fn delay(&self, now: Timestamp) -> Duration {
        let _ = now;
        todo!("policy")
    }

    /// Takes one hedge out of the budget.
    pub fn withdraw(&self, now: Timestamp) -> bool {
        let _ = now;
        todo!("policy")
    }

    /// Learns from a successful first attempt.
    pub fn record(&self, latency: Duration, now: Timestamp) {
        let _ = (latency, now);
        todo!("policy")
    }
}
