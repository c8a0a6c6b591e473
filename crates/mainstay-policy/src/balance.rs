//! Which replica: power of two choices on the peak-sensitive moving average of latency.

use std::time::Duration;

use mainstay_base::{Rng, Timestamp};

/// The moving average of a replica's latency that jumps up at once and comes down slowly (Finagle's Peak EWMA).
#[derive(Debug)]
pub struct PeakEwma {}

impl PeakEwma {
    /// Starts at `initial`.
    pub fn new(initial: Duration, now: Timestamp) -> Self {
        let _ = (initial, now);
        todo!("policy")
    }

    /// Learns from one answer.
    pub fn record(&self, latency: Duration, now: Timestamp) {
        let _ = (latency, now);
        todo!("policy")
    }

    /// What giving it one more call would cost: latency times calls under way.
    pub fn cost(&self, in_flight: u32, now: Timestamp) -> f64 {
        let _ = (in_flight, now);
        todo!("policy")
    }
}

/// Draws two different candidates out of `count` and takes the cheaper one. `None` when there is none.
pub fn pick_two(count: usize, rng: &mut impl Rng, cost: impl Fn(usize) -> f64) -> Option<usize> {
    let _ = (count, rng, cost);
    todo!("policy")
}
