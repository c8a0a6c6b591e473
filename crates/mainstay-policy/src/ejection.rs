//! Leaving out a replica that fails.

use std::time::Duration;

use mainstay_base::{Rng, Timestamp};

use crate::Outcome;

/// When a replica is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct EjectionPolicy {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Share of good answers in the window below which it is left out.
    pub min_success_ratio: f64,
    /// Fewer calls in the window say nothing.
    pub min_calls: u32,
    /// How long calls count.
    pub window: Duration,
    /// How long it is left out the first time.
    pub eject_min: Duration,
    /// How long it is left out at most; each time in a row doubles.
    pub eject_max: Duration,
}

/// What happened to a replica's standing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is left out for this long.
    Ejected {
        /// How long.
        duration: Duration,
        /// Why, in words with the figures.
        reason: String,
    },
    /// A probe went well: it takes part again.
    Returned,
}

/// Whether a replica may be given a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes part.
    In,
    /// It is left out.
    Out,
    /// Its time is over: one call may try it ([`Ejection::claim_probe`]).
    ProbeDue,
}

/// The standing of one replica. Lock-free on the good path.
#[derive(Debug)]
pub struct Ejection {}

impl Ejection {
    /// A replica in good standing.
    pub fn new(policy: &EjectionPolicy, now: Timestamp) -> Self {
        let _ = (policy, now);
        todo!("policy")
    }

    /// Whether it may be given a call.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let _ = now;
        todo!("policy")
    }

    /// Takes the one probe; `false` when another call has it.
    pub fn claim_probe(&self, now: Timestamp) -> bool {
        let _ = now;
        todo!("policy")
    }

    /// Tells how an attempt ended. `may_eject` is what [`may_eject`] says of the set of replicas at this moment.
    pub fn record(
        &self,
        outcome: Outcome,
        may_eject: bool,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let _ = (outcome, may_eject, now, rng);
        todo!("policy")
    }
}

/// Whether one more of `total` replicas may be left out when `ejected` are already: never more than half, never the
/// last (`resilience.md` traps 4; Envoy's `max_ejection_percent`).
pub const fn may_eject(ejected: usize, total: usize) -> bool {
    total > 1 && (ejected + 1) * 2 <= total
}
