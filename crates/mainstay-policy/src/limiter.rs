//! How many calls a replica is given at a time: a gradient limiter.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use mainstay_base::Timestamp;

use crate::Outcome;

/// Bounds of the learnt limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPolicy {
    /// Where it starts.
    pub initial: u32,
    /// It never falls below.
    pub min: u32,
    /// It never rises above: the SLA's `concurrency`, where given.
    pub max: u32,
    /// The latency the SLA promises, which the limiter may use as a hint of what is normal.
    pub latency: Duration,
}

/// A gradient limiter: compares the latency of now with the normal one.
#[derive(Debug)]
pub struct Limiter {
    limit: AtomicU32,
    in_flight: AtomicU32,
    /// Most calls under way in this window.
    peak: AtomicU32,
    window_ends: AtomicU64,
    /// The latencies of this window: their number and the sum of their logarithms in one word.
    samples: AtomicU64,
    gradient: Mutex<Gradient>,
}

#[derive(Debug)]
struct Gradient {
    policy: LimitPolicy,
    limit: f64,
    /// Log2 of the normal latency.
    normal: Option<f64>,
}

const WINDOW: Duration = Duration::from_millis(100);
const COUNT_BITS: u32 = 24;
const FRACTION: f64 = 256.0;

impl Limiter {
    /// A limiter at its initial limit.
    pub fn new(policy: LimitPolicy, now: Timestamp) -> Self {
        let limit = policy.initial.clamp(policy.min, policy.max.max(policy.min));
        Self {
            limit: AtomicU32::new(limit),
            in_flight: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            window_ends: AtomicU64::new((now + WINDOW).as_nanos()),
            samples: AtomicU64::new(0),
            gradient: Mutex::new(Gradient {
                limit: f64::from(limit),
                normal: None,
                policy,
            }),
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

    /// Takes a place when one is free.
    pub fn try_start(&self) -> bool {
        let limit = self.limit();
        self.in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |calls| {
                (calls < limit).then(|| calls + 1)
            })
            .is_ok()
    }

    /// Gives the place back and learns from the call: `latency` from start to the end of the answer's head.
    /// `true` when the limit changed.
    pub fn finish(&self, latency: Duration, outcome: Outcome, now: Timestamp) -> bool {
        let before = self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if before > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(before, Ordering::Relaxed);
        }
        if !matches!(outcome, Outcome::Success | Outcome::Slow) {
            return false;
        }
        let nanos = latency.as_nanos().max(1) as f64;
        let log = (nanos.log2() * FRACTION) as u64;
        self.samples.fetch_add((log << COUNT_BITS) + 1, Ordering::Relaxed);
        if now.as_nanos() < self.window_ends.load(Ordering::Relaxed) {
            return false;
        }
        self.update(now)
    }

    fn update(&self, now: Timestamp) -> bool {
        let mut gradient = match self.gradient.try_lock() {
            Ok(gradient) => gradient,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if now.as_nanos() < self.window_ends.load(Ordering::Relaxed) {
            return false;
        }
        self.window_ends
            .store((now + WINDOW).as_nanos(), Ordering::Relaxed);
        let samples = self.samples.swap(0, Ordering::Relaxed);
        let count = samples & ((1 << COUNT_BITS) - 1);
        let peak = self.peak.swap(0, Ordering::Relaxed);
        if count == 0 {
            return false;
        }
        let latency = (samples >> COUNT_BITS) as f64 / FRACTION / count as f64;
        let limit = gradient.update(latency, peak);
        self.limit.swap(limit, Ordering::Relaxed) != limit
    }
}

impl Gradient {
    fn update(&mut self, latency: f64, peak: u32) -> u32 {
        let normal = self.normal.unwrap_or(latency);
        self.normal = Some(normal + if latency < normal { 0.5 } else { 0.005 } * (latency - normal));
        let gradient = (1.1 * (normal - latency).exp2()).clamp(0.5, 1.0);
        let target = gradient * self.limit + self.limit.sqrt();
        let idle = f64::from(peak) < self.limit / 2.0;
        if !idle {
            self.limit = target.clamp(
                f64::from(self.policy.min.max(1)),
                f64::from(self.policy.max.max(self.policy.min).max(1)),
            );
        }
        self.limit as u32
    }
}
