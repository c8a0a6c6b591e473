//! A token bucket: the part that retries and hedges share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::Timestamp;

/// Tokens are kept in thousandths, so that a fifth of a token can be put in.
const SCALE: u64 = 1000;

/// Tokens that calls put in and extra attempts take out, in two generations of `window` each, so that what was put in is
/// gone after one to two windows (Finagle's `RetryBudget` lets tokens expire after their time to live). A reserve, full
/// at first, flows in by time. Lock-free.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// Tokens of calls.
    earned: AtomicU64,
    /// What `earned` was when the window began, and what was taken of it since: so what was put in during the window is
    /// known at its end, and a call needs to change one number only.
    level: AtomicU64,
    taken: AtomicU64,
    window_ends: AtomicU64,
    window_nanos: u64,
    per_call: u64,
    /// Every token taken from the reserve moves this forward by the time one takes to flow in; what lies between it and the
    /// end of the window that begins now is the reserve. (A window ahead of the clock, so that the reserve can be full
    /// at the clock's beginning.)
    reserve_from: AtomicU64,
    nanos_per_reserve_token: u64,
}

impl TokenBucket {
    /// `ratio` tokens per call, kept for `window`; `min_per_second` tokens flow in besides, up to a window's worth.
    pub(crate) fn new(ratio: f64, min_per_second: f64, window: Duration, now: Timestamp) -> Self {
        let window_nanos = (window.as_nanos() as u64).max(1);
        let nanos_per_reserve_token = if min_per_second > 0.0 {
            ((1e9 / min_per_second) as u64).max(1)
        } else {
            u64::MAX
        };
        // The first window's reserve is there at once, so nothing flows in before that window has ended.
        let window_ends = now.as_nanos().saturating_add(window_nanos);
        let level = window_nanos / nanos_per_reserve_token * SCALE;
        Self {
            earned: AtomicU64::new(level),
            level: AtomicU64::new(level),
            taken: AtomicU64::new(0),
            window_ends: AtomicU64::new(window_ends),
            window_nanos,
            per_call: (ratio * SCALE as f64).round() as u64,
            reserve_from: AtomicU64::new(window_ends),
            nanos_per_reserve_token,
        }
    }

    /// A call was made.
    pub(crate) fn deposit(&self, now: Timestamp) {
        self.expire(now);
        self.earned.fetch_add(self.per_call, Ordering::Relaxed);
    }

    /// Takes one token out, first of those that calls earned, then of the reserve.
    pub(crate) fn withdraw(&self, now: Timestamp) -> bool {
        self.expire(now);
        let earned = |tokens: u64| tokens.checked_sub(SCALE);
        if self
            .earned
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned)
            .is_ok()
        {
            self.taken.fetch_add(SCALE, Ordering::Relaxed);
            return true;
        }
        let reserve = |from: u64| {
            let next = from
                .max(now.as_nanos())
                .checked_add(self.nanos_per_reserve_token)?;
            (next <= self.reserve_end(now)).then_some(next)
        };
        self.reserve_from
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
            .is_ok()
    }

    /// Tokens that could be taken out now.
    pub(crate) fn balance(&self, now: Timestamp) -> f64 {
        self.expire(now);
        let from = self.reserve_from.load(Ordering::Relaxed).max(now.as_nanos());
        let reserve = self.reserve_end(now).saturating_sub(from) / self.nanos_per_reserve_token;
        self.earned.load(Ordering::Relaxed) as f64 / SCALE as f64 + reserve as f64
    }

    const fn reserve_end(&self, now: Timestamp) -> u64 {
        now.as_nanos().saturating_add(self.window_nanos)
    }

    fn expire(&self, now: Timestamp) {
        let ends = self.window_ends.load(Ordering::Relaxed);
        if now.as_nanos() < ends {
            return;
        }
        let next = now.as_nanos().saturating_add(self.window_nanos);
        if self
            .window_ends
            .compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            return; // another thread does it
        }
        let taken = self.taken.swap(0, Ordering::Relaxed);
        let earned = self.earned.load(Ordering::Relaxed);
        let fresh = (earned + taken).saturating_sub(self.level.load(Ordering::Relaxed));
        let kept = if now.as_nanos().saturating_sub(ends) < self.window_nanos {
            fresh
        } else {
            0
        };
        let before = self.earned.fetch_min(kept, Ordering::Relaxed);
        self.level.store(before.min(kept), Ordering::Relaxed);
    }
}
