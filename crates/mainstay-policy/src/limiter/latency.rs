//! Latencies as their logarithms: what is typical, and how sure that is.

use std::time::Duration;

/// The standard deviation of the base-2 logarithm of an exponentially distributed time: pi / (sqrt(6) * ln 2).
pub(super) const EXPONENTIAL_SPREAD: f64 = 1.85;

/// As many calls of that spread count as seen before the first: a few calls tell little of the spread.
const PRIOR_COUNT: f64 = 4.0;

/// Latencies of some calls: their number and the first two moments of their base-2 logarithms, in nanoseconds.
///
/// The mean of logarithms is the logarithm of the geometric mean. Unlike the arithmetic mean it is not ruled by the few
/// slowest calls, unlike a percentile it does not jump between the modes of a mixture, and it adds up in one atomic word.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Latencies {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) squares: f64,
}

impl Latencies {
    /// As if one call had taken so long.
    pub(super) fn one(latency: Duration) -> Self {
        let log = (latency.as_nanos().max(1) as f64).log2();
        Self {
            count: 1.0,
            sum: log,
            squares: log * log,
        }
    }

    /// The mean of the logarithms; 0 when nothing was seen.
    pub(super) fn log(self) -> f64 {
        if self.count > 0.0 {
            self.sum / self.count
        } else {
            0.0
        }
    }

    /// The geometric mean.
    pub(super) fn typical(self) -> Duration {
        Duration::from_nanos(self.log().exp2() as u64)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// The same, but counting less beside what is added.
    pub(super) fn fade(self, keep: f64) -> Self {
        Self {
            count: self.count * keep,
            sum: self.sum * keep,
            squares: self.squares * keep,
        }
    }

    /// The standard deviation of the logarithms.
    pub(super) fn spread(self) -> f64 {
        let deviations = (self.squares - self.sum * self.log()).max(0.0);
        let prior = PRIOR_COUNT * EXPONENTIAL_SPREAD * EXPONENTIAL_SPREAD;
        ((deviations + prior) / (self.count + PRIOR_COUNT)).sqrt()
    }

    /// By how much two means differ by mere chance: the standard error of their difference.
    pub(super) fn noise(self, other: Self) -> f64 {
        let variance = |of: Self| of.spread().powi(2) / of.count.max(f64::MIN_POSITIVE);
        (variance(self) + variance(other)).sqrt()
    }
}
