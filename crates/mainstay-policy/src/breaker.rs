//! The circuit breaker of an edge.

use std::time::Duration;

use mainstay_base::{Rng, Timestamp};

use crate::Outcome;

/// When to stop asking, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// What opens it.
    pub trip: Trip,
    /// How long calls count.
    pub window: Duration,
    /// How long it stays open the first time.
    pub open_min: Duration,
    /// How long it stays open at most; each opening in a row doubles.
    pub open_max: Duration,
    /// How long the share of calls let through grows after a good probe.
    pub ramp: Duration,
}

/// What opens a breaker.
#[derive(Clone, Debug, PartialEq)]
pub enum Trip {
    /// At least `min_calls` in the window and more than `ratio` of them failed.
    FailureRatio {
        /// Fewer calls say nothing.
        min_calls: u32,
        /// `0.5` is half.
        ratio: f64,
    },
    /// More than this many failures in a row (Dapr's `consecutiveFailures > n`).
    ConsecutiveFailures(u32),
    /// Never opens.
    Never,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets everything through.
    Closed,
    /// Lets nothing through.
    Open,
    /// Lets one probe through.
    HalfOpen,
    /// Lets a growing share through.
    Ramping,
}

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Go on; this call decides whether the breaker closes. Its outcome must be recorded, also when it was cancelled.
    Probe,
    /// Answer at once; ask again after this long.
    Refuse {
        /// When to come back.
        retry_after: Duration,
    },
}

/// A change of state, for the log and the event stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state it left.
    pub from: BreakerState,
    /// The state it is in.
    pub to: BreakerState,
    /// Why, in words with the figures: `12 of 20 calls failed in 10s`.
    pub reason: String,
}

/// A circuit breaker. Lock-free while closed.
#[derive(Debug)]
pub struct Breaker {}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy, now: Timestamp) -> Self {
        let _ = (policy, now);
        todo!("policy")
    }

    /// Asks for passage.
    pub fn ask(&self, now: Timestamp, rng: &mut impl Rng) -> (Verdict, Option<Transition>) {
        let _ = (now, rng);
        todo!("policy")
    }

    /// Tells how a call that was let through ended.
    pub fn record(
        &self,
        verdict: Verdict,
        outcome: Outcome,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Transition> {
        let _ = (verdict, outcome, now, rng);
        todo!("policy")
    }

    /// Opens it at once: no replica is left to ask.
    pub fn trip(&self, reason: &str, now: Timestamp, rng: &mut impl Rng) -> Option<Transition> {
        let _ = (reason, now, rng);
        todo!("policy")
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        todo!("policy")
    }
}
