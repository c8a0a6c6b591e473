//! Hedging: a second attempt before the first has failed (Dean and Barroso, "The Tail at Scale", 2013).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::Timestamp;

use crate::bucket::TokenBucket;

/// Whether and when to send a second attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct HedgePolicy {
    /// Extra calls that hedging may make, `0.05` is 5 %.
    pub ratio: f64,
    /// The shortest wait before the second attempt.
    pub min_delay: Duration,
}

/// How long a call counts in the budget.
const WINDOW: Duration = Duration::from_secs(10);
/// The wait moves by this part of itself: small enough to be steady, large enough to follow within some hundred calls.
const STEP: u64 = 64;

/// Learns the latency after which a second attempt pays, and keeps it within its budget. Lock-free.
#[derive(Debug)]
pub struct Hedge {
    budget: TokenBucket,
    min_delay_nanos: u64,
    delay_nanos: AtomicU64,
}

impl Hedge {
    /// Hedging on `policy`; `expected` is the latency assumed until enough calls were seen.
    pub fn new(policy: &HedgePolicy, expected: Duration, now: Timestamp) -> Self {
        let min_delay_nanos = policy.min_delay.as_nanos() as u64;
        Self {
            budget: TokenBucket::new(policy.ratio, 0.0, WINDOW, now),
            min_delay_nanos,
            delay_nanos: AtomicU64::new((expected.as_nanos() as u64).max(min_delay_nanos)),
        }
    }

    /// A call begins: how long to wait before a second attempt (the 95th percentile of what was seen).
    pub fn delay(&self, now: Timestamp) -> Duration {
        self.budget.deposit(now);
        Duration::from_nanos(self.delay_nanos.load(Ordering::Relaxed).max(self.min_delay_nanos))
    }

    /// Takes one hedge out of the budget.
    pub fn withdraw(&self, now: Timestamp) -> bool {
        self.budget.withdraw(now)
    }

    /// Learns from the latency of a good answer, by stochastic approximation of the quantile (Robbins and Monro, 1951):
    /// an answer above the estimate pushes it up by 19 parts, one below pulls it down by one, so that it rests where one
    /// in twenty is above.
    ///
    /// Report the winner's latency, measured from the first attempt.
    pub fn record(&self, latency: Duration) {
        let latency = latency.as_nanos() as u64;
        let delay = self.delay_nanos.load(Ordering::Relaxed);
        let step = (delay / (STEP * 20)).max(1);
        let next = if latency > delay {
            delay.saturating_add(step * 19)
        } else {
            delay - step.min(delay)
        };
        // A lost update of another thread is one sample less: no loop is worth it.
        self.delay_nanos
            .store(next.max(self.min_delay_nanos), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use mainstay_base::{Rng, SplitMix64};

    use super::*;

    const POLICY: HedgePolicy = HedgePolicy {
        ratio: 0.05,
        min_delay: Duration::from_millis(1),
    };

    #[test]
    fn the_wait_settles_at_the_95th_percentile() {
        let rng = &mut SplitMix64::new(7);
        let hedge = Hedge::new(&POLICY, Duration::from_secs(1), Timestamp::ZERO);
        for _ in 0..20_000 {
            hedge.record(Duration::from_micros(10_000 + rng.below(10_000)));
        }
        let delay = hedge.delay(Timestamp::ZERO);
        assert!(
            (Duration::from_millis(19)..Duration::from_millis(20)).contains(&delay),
            "{delay:?}"
        );
        for _ in 0..20_000 {
            hedge.record(Duration::from_micros(10));
        }
        assert_eq!(
            hedge.delay(Timestamp::ZERO),
            Duration::from_millis(1),
            "never below the shortest"
        );
    }

    #[test]
    fn one_call_in_twenty_is_hedged_at_most() {
        let hedge = Hedge::new(&POLICY, Duration::from_secs(1), Timestamp::ZERO);
        let hedged = (0..1000)
            .filter(|call| {
                let now = Timestamp::ZERO + Duration::from_millis(*call);
                hedge.delay(now);
                hedge.withdraw(now)
            })
            .count();
        assert_eq!(hedged, 50);
    }
}
