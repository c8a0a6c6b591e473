//! Which replica: power of two choices on the peak-sensitive moving average of latency.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, Timestamp};

/// How long an old latency weighs: after this time its weight has fallen to 1/e.
const DECAY: Duration = Duration::from_secs(10);

/// An average this young is as good as new.
const FRESH: Duration = Duration::from_millis(100);

/// The moving average of a replica's latency that jumps up at once and comes down slowly, so that a replica that turns
/// slow is left at once and tried again with care (Peak EWMA: twitter/finagle; decay of 10 s: Linkerd). Lock-free.
#[derive(Debug, Default)]
pub struct PeakEwma {
    /// 0 until the first answer.
    nanos: AtomicU64,
    updated: AtomicU64,
}

impl PeakEwma {
    /// An average of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from one answer. The first one is believed as it is.
    pub fn record(&self, latency: Duration, now: Timestamp) {
        let latency = (latency.as_nanos() as u64).max(1);
        let elapsed = now.since(Timestamp::from_nanos(self.updated.load(Ordering::Relaxed)));
        self.updated.store(now.as_nanos(), Ordering::Relaxed);
        let average = self.nanos.load(Ordering::Relaxed);
        let next = if average == 0 || latency >= average {
            latency
        } else {
            // exp(-t) is 1 - t for the small t between two answers; the division form stays within 0..1 for large ones.
            let weight = 1.0 / (1.0 + elapsed.as_secs_f64() / DECAY.as_secs_f64());
            (average as f64 * weight + latency as f64 * (1.0 - weight)) as u64
        };
        // A lost update of another thread is one sample less: no loop is worth it.
        self.nanos.store(next.max(1), Ordering::Relaxed);
    }

    /// The average; `None` until the first answer. What nobody confirms fades, so that a replica that was slow once is
    /// tried again (Finagle decays at reading as well).
    pub fn latency(&self, now: Timestamp) -> Option<Duration> {
        let nanos = self.nanos.load(Ordering::Relaxed);
        let silence = now.since(Timestamp::from_nanos(self.updated.load(Ordering::Relaxed)));
        if nanos == 0 || silence < FRESH {
            return (nanos > 0).then(|| Duration::from_nanos(nanos));
        }
        let fading = (-silence.as_secs_f64() / DECAY.as_secs_f64()).exp();
        Some(Duration::from_nanos((nanos as f64 * fading) as u64))
    }

    /// What giving it one more call would cost: latency times the calls it would have. A replica that has not answered
    /// yet is `assumed` to be like the others: one that looked better would draw all calls at once, one that looked
    /// worse would get none.
    pub fn cost(&self, in_flight: u32, assumed: Duration, now: Timestamp) -> f64 {
        let latency = self.latency(now).unwrap_or(assumed);
        latency.as_nanos() as f64 * (f64::from(in_flight) + 1.0)
    }
}

/// Draws two different candidates out of `count` and takes the cheaper one (Mitzenmacher, "The Power of Two Choices",
/// 2001). `None` when there is none.
pub fn pick_two(count: usize, rng: &mut impl Rng, cost: impl Fn(usize) -> f64) -> Option<usize> {
    match count {
        0 => None,
        1 => Some(0),
        _ => {
            let first = rng.below(count as u64) as usize;
            let mut second = rng.below(count as u64 - 1) as usize;
            if second >= first {
                second += 1;
            }
            Some(if cost(second) < cost(first) { second } else { first })
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_base::SplitMix64;

    use super::*;

    const ASSUMED: Duration = Duration::from_millis(5);

    #[test]
    fn jumps_up_and_comes_down_slowly() {
        let ewma = PeakEwma::new();
        assert!((ewma.cost(1, ASSUMED, Timestamp::ZERO) - 10e6).abs() < 1.0);
        ewma.record(Duration::from_millis(1), Timestamp::ZERO);
        assert_eq!(ewma.latency(Timestamp::ZERO), Some(Duration::from_millis(1)));
        ewma.record(Duration::from_millis(100), Timestamp::ZERO);
        assert!((ewma.cost(0, ASSUMED, Timestamp::ZERO) - 100e6).abs() < 1.0);
        assert!((ewma.cost(3, ASSUMED, Timestamp::ZERO) - 400e6).abs() < 1.0);
        let mut now = Timestamp::ZERO;
        for _ in 0..1_000 {
            now = now + Duration::from_millis(10);
            ewma.record(Duration::from_millis(1), now);
        }
        let after_one_decay = ewma.cost(0, ASSUMED, now) / 1e6;
        assert!((30.0..45.0).contains(&after_one_decay), "{after_one_decay}");
        let unconfirmed = ewma.cost(0, ASSUMED, now + DECAY) / 1e6;
        assert!(
            (unconfirmed - after_one_decay / std::f64::consts::E).abs() < 0.1,
            "{unconfirmed}"
        );
    }

    #[test]
    fn takes_the_cheaper_of_two_different_ones() {
        let rng = &mut SplitMix64::new(3);
        assert_eq!(pick_two(0, rng, |_| 0.0), None);
        assert_eq!(pick_two(1, rng, |_| 0.0), Some(0));
        let cost = |candidate: usize| candidate as f64;
        let picks: Vec<_> = (0..1000).filter_map(|_| pick_two(3, rng, cost)).collect();
        assert!(
            picks.contains(&0) && picks.contains(&1) && !picks.contains(&2),
            "the dearest of three never wins"
        );
    }
}
