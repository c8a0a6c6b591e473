//! Metrics without a telemetry library: counters that cost one atomic addition, and a way to read them all.
//!
//! Each crate that has metrics keeps one table of [`Descriptor`]s and a [`Collect`] that shows their present values;
//! `mainstay-api` writes them as Prometheus text. Recording allocates nothing and takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is known of a metric before it has a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// `mainstay_<noun>_<unit>[_total]`, as Prometheus names are formed.
    pub name: &'static str,
    /// One sentence for the reader of a dashboard.
    pub help: &'static str,
    /// How values behave.
    pub kind: Kind,
    /// Names of the labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of durations in seconds.
    Histogram,
}

/// Receives the present values.
pub trait Visitor {
    /// The value of a counter or a gauge; `labels` in the order of the descriptor.
    fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64);
    /// The present state of a histogram.
    fn histogram(&mut self, descriptor: &'static Descriptor, labels: &[&str], histogram: &Histogram);
}

/// Something whose metrics can be read.
pub trait Collect: Send + Sync {
    /// Every metric it may ever emit.
    fn descriptors(&self) -> &'static [&'static Descriptor];
    /// Shows every present value to `visitor`. Values of one metric come one after another.
    fn collect(&self, visitor: &mut dyn Visitor);
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the histogram's buckets in seconds; one more bucket takes the rest.
///
/// 100 us to 60 s in steps of about 1-2-5: a local hop is below a millisecond, a deadline rarely above a minute.
pub const BUCKET_BOUNDS_SECONDS: [f64; 18] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
    60.0,
];

const BUCKETS: usize = BUCKET_BOUNDS_SECONDS.len() + 1;

/// A distribution of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKET_BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos
            .fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Counts per bucket, not cumulative, in the order of [`BUCKET_BOUNDS_SECONDS`]; the last has no upper bound.
    pub fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|index| {
            self.buckets
                .get(index)
                .map_or(0, |count| count.load(Ordering::Relaxed))
        })
    }

    /// The sum of all durations in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// The duration below which `share` (`0.0..=1.0`) of the values lie: the upper bound of its bucket, so an
    /// estimate from above. `None` while nothing was recorded; infinity past the last bound.
    pub fn quantile_seconds(&self, share: f64) -> Option<f64> {
        let counts = self.counts();
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(
            BUCKET_BOUNDS_SECONDS
                .get(bucket)
                .copied()
                .unwrap_or(f64::INFINITY),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile_seconds(0.5), None);
        for micros in [50, 100, 101, 700_000, 100_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[12], counts[18]), (2, 1, 1, 1));
        assert_eq!(histogram.quantile_seconds(0.5), Some(0.0002));
        assert_eq!(histogram.quantile_seconds(1.0), Some(f64::INFINITY));
        assert!((histogram.sum_seconds() - 100.700_251).abs() < 1e-9);
    }
}
