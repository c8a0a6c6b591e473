//! What an entry of a certain age is good for. Pure: ages come in, a verdict goes out.
//!
//! Fresh is what RFC 9111, 4.2 calls so: the freshness lifetime is greater than the age. Stale is what RFC 5861, 4 allows to
//! be used when there is an error. Before it expires, an entry is loaded anew in the background by whoever asks for it: at a
//! moment that differs from entry to entry and from process to process, so that what was loaded together is not loaded
//! together again.

use std::time::Duration;

use mainstay_base::{Rng, SplitMix64};

/// How far before or after its fraction of the time to live an entry is refreshed at most, as a share of that time.
const REFRESH_JITTER: f64 = 0.1;

/// How long an entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// So long it is given without asking anyone.
    pub ttl: Duration,
    /// So long after that it is given if it cannot be loaded anew.
    pub stale: Duration,
}

impl Lifetime {
    /// How long it is kept.
    pub const fn total(self) -> Duration {
        self.ttl.saturating_add(self.stale)
    }

    /// Fresh for this time at most; what it loses, it does not gain as stale time.
    #[must_use]
    pub fn fresh_at_most(self, ttl: Duration) -> Self {
        Self {
            ttl: self.ttl.min(ttl),
            ..self
        }
    }

    /// Gone after this time, fresh or not: for a value that ends by itself.
    #[must_use]
    pub fn gone_after(self, total: Duration) -> Self {
        let ttl = self.ttl.min(total);
        Self {
            ttl,
            stale: self.stale.min(total.saturating_sub(ttl)),
        }
    }

    /// Never given once it has expired.
    #[must_use]
    pub const fn never_stale(self) -> Self {
        Self {
            stale: Duration::ZERO,
            ..self
        }
    }
}

/// What an entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To be given.
    Fresh,
    /// To be given, and to be loaded anew meanwhile.
    RefreshAhead,
    /// To be given only if it cannot be loaded anew.
    Stale,
    /// Not to be given.
    Miss,
}

impl Verdict {
    /// Whether it is to be given at once.
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::RefreshAhead)
    }
}

/// Judges an entry of this `age`. `refresh_at` is the age from which it is due for a refresh, see [`refresh_at`].
pub fn judge(age: Duration, lifetime: Lifetime, refresh_at: Option<Duration>) -> Verdict {
    if age >= lifetime.total() {
        Verdict::Miss
    } else if age >= lifetime.ttl {
        Verdict::Stale
    } else if refresh_at.is_some_and(|due| age >= due) {
        Verdict::RefreshAhead
    } else {
        Verdict::Fresh
    }
}

/// The age at which an entry is due for a refresh: `fraction` (`0.0..1.0`) of its time to live, a tenth of that time earlier
/// or later at most, and never after it has expired. `spread` (`0.0..1.0`) says where in between.
pub fn refresh_at(ttl: Duration, fraction: f64, spread: f64) -> Duration {
    let fraction = fraction.clamp(0.0, 1.0);
    let jitter = REFRESH_JITTER.min(fraction).min(1.0 - fraction);
    let share = fraction + jitter * (2.0 * spread - 1.0);
    ttl.mul_f64(share.clamp(0.0, 1.0)).min(ttl)
}

/// Where an entry lies within the jitter: the same at every look of one process, different for each entry (`salt`) and
/// process (`seed`). So the first process that is due refreshes an entry that they share, and the others find it fresh.
pub fn spread(salt: u64, seed: u64) -> f64 {
    SplitMix64::new(salt ^ seed).unit()
}

#[cfg(test)]
mod tests;
