//! Latencies in buckets whose width grows with the value.

use std::time::Duration;

/// Buckets per power of two: a value is known to better than one part in 64.
const STEPS_BITS: u32 = 6;
const STEPS: usize = 1 << STEPS_BITS;
const BUCKETS: usize = STEPS * (64 - STEPS_BITS as usize + 1);

/// A log-linear histogram of durations in nanoseconds (the scheme of HDR histograms).
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Without values.
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    /// Adds one value.
    pub(crate) fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Adds all values of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The smallest bucket's upper end below which at least `share` (`0.0..=1.0`) of the values lie; zero without values.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index));
            }
        }
        Duration::ZERO
    }
}

/// Values below `STEPS` have a bucket each; above, each power of two has `STEPS` buckets.
fn bucket(nanos: u64) -> usize {
    let magnitude = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEPS_BITS + 1);
    (magnitude as usize) * STEPS + (nanos >> magnitude) as usize
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    let magnitude = bucket / STEPS - 1;
    let step = (bucket % STEPS + STEPS) as u64;
    ((step + 1) << magnitude).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        let values =
            (0..40_000).chain((0..48).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]));
        for value in values {
            let index = bucket(value);
            assert!(upper_end(index) >= value, "{value}");
            assert!(index == 0 || upper_end(index - 1) < value, "{value}");
        }
    }

    #[test]
    fn a_bucket_is_narrow() {
        for value in [100_u64, 10_000, 1_234_567, 98_765_432_100] {
            let wide = upper_end(bucket(value)) - value;
            assert!(wide * 64 <= value, "{value} is off by {wide}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.99), Duration::ZERO);
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{share}: {found}");
        }
        let mut twice = histogram.clone();
        twice.add(&histogram);
        assert_eq!(
            (twice.total(), twice.quantile(0.5)),
            (2_000, histogram.quantile(0.5))
        );
    }
}
