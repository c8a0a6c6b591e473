//! How many calls a replica is given at a time: a gradient limiter.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::Outcome;

/// Bounds of the learnt limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPolicy {
    /// Where it starts.
    pub initial: u32,
    /// It never falls below.
    pub min: u32,
    /// It never rises above: the SLA's `concurrency`, where given.
    pub max: u32,
    /// The latency the SLA promises, which the limiter may use as a hint of what is normal.
    pub latency: Duration,
}

/// A gradient limiter: compares the latency of now with the smallest seen. Lock-free.
#[derive(Debug)]
pub struct Limiter {}

impl Limiter {
    /// A limiter at its initial limit.
    pub fn new(policy: LimitPolicy, now: Timestamp) -> Self {
        let _ = (policy, now);
        todo!("policy")
    }

    /// The present limit.
    pub fn limit(&self) -> u32 {
        todo!("policy")
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        todo!("policy")
    }

    /// Takes a place when one is free.
    pub fn try_start(&self) -> bool {
        todo!("policy")
    }

    /// Gives the place back and learns from the call: `latency` from start to the end of the answer's head.
    /// `true` when the limit changed.
    pub fn finish(&self, latency: Duration, outcome: Outcome, now: Timestamp) -> bool {
        let _ = (latency, outcome, now);
        todo!("policy")
    }
}
