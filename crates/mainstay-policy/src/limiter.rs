//! How many calls a replica is given at a time: a gradient limiter.
//!
//! A callee serves so many calls at once; those beyond wait in a queue inside it, where nobody can tell the urgent from
//! the others. The limiter finds that knee from outside. It is Envoy's adaptive concurrency and Netflix's Gradient2 in
//! form, `limit = limit * normal / recent + headroom` once per window, with three differences:
//!
//! - *What is compared* is the geometric mean. Percentiles jump between the modes of a mixture of quick and slow calls;
//!   Gradient2's arithmetic mean is ruled by the slowest few. Its standard error is known, so that a handful of calls does
//!   not move the limit by chance.
//! - *What is normal* is not a minimum, which noise drags down, nor a long average, which follows an overload up (the drift
//!   of Gradient2). While the limit is not reached, all that is seen is normal, and so normal ages with the callee. While
//!   it is reached, a short look at a limit just below the supposed knee tells: if the latency falls in proportion to the
//!   limit, calls still wait inside (Little's law) and the next look is lower; if not, what is seen is normal. Envoy looks
//!   at a concurrency of 3 and refuses the rest for so long; here the callee stays nearly busy, and a look is followed by a
//!   pause of at least twenty times its length.
//! - *The headroom* grows with the root of the limit, as in Envoy, and with the spread of the latencies: a regular callee
//!   needs fewer calls in reserve to be kept busy.
//!
//! Latencies that are a fiftieth of what the SLA promises, or less, are normal whatever they were before: a callee that
//! answers in a fraction of a millisecond is not throttled for answering in two.
//!
//! The limit grows only when it is reached, by doubling steps while the latency is normal. A limit that has halved without
//! the latency following calls for a look at once: the callee has become slower, and must not be starved for it.
//! Refusals of the callee itself lower the limit (additive increase, multiplicative decrease).
//!
//! Sources: Envoy `adaptive_concurrency_filter.rst`; Netflix/concurrency-limits `Gradient2Limit.java`, `VegasLimit.java`;
//! Cardwell et al., "BBR", ACM Queue 2016, for looking at the unqueued latency on purpose.

mod gradient;
mod latency;
mod probe;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use mainstay_base::Timestamp;

use crate::Outcome;
use gradient::{Gradient, Window};
use latency::Latencies;

/// Bounds of the learnt limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPolicy {
    /// Where it starts.
    pub initial: u32,
    /// It never falls below; at least 1.
    pub min: u32,
    /// It never rises above: the SLA's `concurrency`, where given.
    pub max: u32,
    /// The latency the SLA promises: what is slower is not taken for normal without a closer look, and what takes a
    /// fiftieth of it is not slow.
    pub latency: Duration,
}

/// A gradient limiter: compares the latency of now with the normal one.
///
/// Each call costs a handful of relaxed atomic operations. The decision at the end of a window is made by the one call
/// that ends it; the lock around it is only ever tried, never waited for.
#[derive(Debug)]
pub struct Limiter {
    limit: AtomicU32,
    in_flight: AtomicU32,
    /// Most calls under way in this window.
    peak: AtomicU32,
    /// The latencies of this window: their number (low bits) and the sum of their logarithms, so that one addition
    /// counts a call.
    latencies: AtomicU64,
    /// The sum of the squares of the logarithms.
    squares: AtomicU64,
    /// Calls of this window that the callee refused.
    refused: AtomicU64,
    /// When the window ends, in nanoseconds.
    window_ends: AtomicU64,
    /// Calls that started before say nothing, in nanoseconds.
    counts_from: AtomicU64,
    /// The typical latency without a queue, in nanoseconds.
    normal: AtomicU64,
    gradient: Mutex<Gradient>,
}

/// Bits of the number of latencies: a window of two seconds has room for eight million calls a second.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Logarithms are counted in so many parts of one.
const LOG_PARTS: f64 = 256.0;

/// The base-2 logarithm of `nanos` in parts, to within two of them. That is near enough for means that are only compared
/// with each other, and a fifth of the price of the exact one: between two powers of two it is nearly a parabola.
fn log2_parts(nanos: u64) -> u64 {
    /// The height of that parabola, in 2^16ths.
    const BULGE: u64 = 22_714;
    let nanos = nanos.max(1);
    let power = u64::from(nanos.ilog2());
    // The part after the leading one, in 2^16ths.
    let fraction = ((u128::from(nanos) << 16) >> power) as u64 & 0xffff;
    let bulge = (fraction * (0x1_0000 - fraction) * BULGE) >> 32;
    (power * LOG_PARTS as u64) + (((fraction + bulge) * LOG_PARTS as u64) >> 16)
}

impl Limiter {
    /// A limiter at its initial limit.
    pub fn new(policy: LimitPolicy, now: Timestamp) -> Self {
        let gradient = Gradient::new(policy, now);
        Self {
            limit: AtomicU32::new(gradient.limit()),
            in_flight: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            latencies: AtomicU64::new(0),
            squares: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            window_ends: AtomicU64::new((now + gradient.window()).as_nanos()),
            counts_from: AtomicU64::new(0),
            normal: AtomicU64::new(0),
            gradient: Mutex::new(gradient),
        }
    }

    /// The present limit.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The typical latency while no calls wait inside the callee, as learnt; zero before the first answers.
    pub fn normal_latency(&self) -> Duration {
        Duration::from_nanos(self.normal.load(Ordering::Relaxed))
    }

    /// Takes a place when one is free. Each `true` is followed by one [`Limiter::finish`].
    pub fn try_start(&self) -> bool {
        let limit = self.limit();
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |calls| {
                (calls < limit).then_some(calls + 1)
            })
            .is_ok()
    }

    /// Gives the place back and learns from the call: `latency` from start to the end of the answer's head.
    /// `true` when the limit changed.
    ///
    /// A failure that came quickly says nothing about load; one that took longer than normal, like a timeout, does.
    pub fn finish(&self, latency: Duration, outcome: Outcome, now: Timestamp) -> bool {
        let calls = self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if calls > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(calls, Ordering::Relaxed);
        }
        match outcome {
            Outcome::Success | Outcome::Slow => self.count(latency, now),
            Outcome::Failure if latency >= self.normal_latency() => self.count(latency, now),
            Outcome::Rejected => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Failure | Outcome::Cancelled => return false,
        }
        now.as_nanos() >= self.window_ends.load(Ordering::Relaxed) && self.end_window(now)
    }

    fn count(&self, latency: Duration, now: Timestamp) {
        if (now - latency).as_nanos() < self.counts_from.load(Ordering::Relaxed) {
            return;
        }
        let log = log2_parts(latency.as_nanos() as u64);
        self.latencies
            .fetch_add((log << COUNT_BITS) + 1, Ordering::Relaxed);
        self.squares.fetch_add(log * log, Ordering::Relaxed);
    }

    fn end_window(&self, now: Timestamp) -> bool {
        let Some(mut gradient) = self.try_lock() else {
            return false;
        };
        let ends = self.window_ends.load(Ordering::Relaxed);
        let latest = ends.saturating_add(2 * gradient.window().as_nanos() as u64);
        let seen =
            (self.latencies.load(Ordering::Relaxed) & COUNT_MASK) + self.refused.load(Ordering::Relaxed);
        let is_complete = seen >= gradient.window_calls() || (seen > 0 && now.as_nanos() >= latest);
        // Another call may have ended the window in between.
        if now.as_nanos() < ends || !is_complete {
            return false;
        }
        gradient.update(self.take_window(), now);
        self.counts_from
            .store(gradient.counts_from().as_nanos(), Ordering::Relaxed);
        self.normal
            .store(gradient.normal().as_nanos() as u64, Ordering::Relaxed);
        self.window_ends
            .store((now + gradient.window()).as_nanos(), Ordering::Relaxed);
        let limit = gradient.limit();
        self.limit.swap(limit, Ordering::Relaxed) != limit
    }

    fn take_window(&self) -> Window {
        let latencies = self.latencies.swap(0, Ordering::Relaxed);
        let squares = self.squares.swap(0, Ordering::Relaxed);
        Window {
            latencies: Latencies {
                count: (latencies & COUNT_MASK) as f64,
                sum: (latencies >> COUNT_BITS) as f64 / LOG_PARTS,
                squares: squares as f64 / (LOG_PARTS * LOG_PARTS),
            },
            peak: self.peak.swap(0, Ordering::Relaxed),
            refused: self.refused.swap(0, Ordering::Relaxed) as f64,
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Gradient>> {
        match self.gradient.try_lock() {
            Ok(gradient) => Some(gradient),
            // The numbers are whole after each step, and a limit must be found whatever happened.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
