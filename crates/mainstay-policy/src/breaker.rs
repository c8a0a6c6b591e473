//! The circuit breaker of an edge.
//!
//! ```text
//!             trips                    a probe goes well
//!   Closed ──────────> Open ─────> HalfOpen ─────────> Ramping ──> Closed
//!                       ^  open for   │ a probe fails     │ trips
//!                       └─────────────┴───────────────────┘
//! ```
//!
//! What counts as failed: [`Outcome::Failure`] and [`Outcome::Slow`]. [`Outcome::Rejected`] counts as a good call: a callee
//! that sheds is alive and says so itself; opening on it would turn a little overload into an outage.
//! [`Outcome::Cancelled`] counts as nothing.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, Timestamp, format_duration};

use crate::Outcome;
use crate::window::Window;

/// When to stop asking, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// What opens it.
    pub trip: Trip,
    /// How long calls count.
    pub window: Duration,
    /// How long it stays open the first time.
    pub open_min: Duration,
    /// How long it stays open at most; each opening in a row doubles.
    pub open_max: Duration,
    /// How long the share of calls let through grows after a good probe.
    pub ramp: Duration,
}

/// What opens a breaker.
#[derive(Clone, Debug, PartialEq)]
pub enum Trip {
    /// At least `min_calls` in the window and more than `ratio` of them failed.
    FailureRatio {
        /// Fewer calls say nothing.
        min_calls: u32,
        /// `0.5` is half.
        ratio: f64,
    },
    /// More than this many failures in a row (Dapr's `consecutiveFailures > n`).
    ConsecutiveFailures(u32),
    /// Never opens.
    Never,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    /// Lets everything through.
    Closed = 0,
    /// Lets nothing through.
    Open = 1,
    /// Lets one probe through.
    HalfOpen = 2,
    /// Lets a growing share through.
    Ramping = 3,
}

impl BreakerState {
    /// The word used in metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Ramping => "ramping",
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Open,
            2 => Self::HalfOpen,
            3 => Self::Ramping,
            _ => Self::Closed,
        }
    }
}

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// Go on; this call decides whether the breaker closes. Record its outcome, also when it was cancelled; one that is
    /// never recorded is given up after `open_max`.
    Probe,
    /// Answer at once; ask again after this long.
    Refuse {
        /// When to come back.
        retry_after: Duration,
    },
}

/// A change of state, for the log and the event stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state it left.
    pub from: BreakerState,
    /// The state it is in.
    pub to: BreakerState,
    /// Why, in words with the figures: `12 of 20 calls failed in 10s`.
    pub reason: String,
}

/// A circuit breaker. Lock-free. A transition allocates its reason; nothing else allocates.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: AtomicU8,
    /// Open: when it may be probed. `HalfOpen`: when the probe under way is given up. Ramping: when the ramp began.
    moment: AtomicU64,
    /// Openings in a row.
    openings: AtomicU32,
    consecutive_failures: AtomicU32,
    window: Window,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            window: Window::new(policy.window),
            policy,
            state: AtomicU8::new(BreakerState::Closed as u8),
            moment: AtomicU64::new(0),
            openings: AtomicU32::new(0),
            consecutive_failures: AtomicU32::new(0),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        BreakerState::from_code(self.state.load(Ordering::Acquire))
    }

    /// Asks for passage.
    pub fn ask(&self, now: Timestamp, rng: &mut impl Rng) -> (Verdict, Option<Transition>) {
        let state = self.state();
        if state == BreakerState::Closed {
            return (Verdict::Pass, None);
        }
        let moment = self.moment.load(Ordering::Acquire);
        match state {
            BreakerState::Closed => (Verdict::Pass, None),
            BreakerState::Open | BreakerState::HalfOpen => self.ask_for_probe(state, moment, now),
            BreakerState::Ramping => self.ask_on_ramp(moment, now, rng),
        }
    }

    /// Tells how a call that was let through ended.
    pub fn record(
        &self,
        verdict: Verdict,
        outcome: Outcome,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Transition> {
        if verdict == Verdict::Probe {
            return self.record_probe(outcome, now, rng);
        }
        let failed = match outcome {
            Outcome::Failure | Outcome::Slow => true,
            Outcome::Success | Outcome::Rejected => false,
            Outcome::Cancelled => return None,
        };
        let state = self.state();
        if matches!(state, BreakerState::Open | BreakerState::HalfOpen) {
            return None; // a call from before it opened: the probe decides
        }
        self.window.record(failed, now);
        if !failed {
            // A plain load first: the store would bounce the cache line between the workers on every good call.
            if self.consecutive_failures.load(Ordering::Relaxed) != 0 {
                self.consecutive_failures.store(0, Ordering::Relaxed);
            }
            return None;
        }
        let in_a_row = self.consecutive_failures.fetch_add(1, Ordering::Relaxed) + 1;
        let reason = self.reason_to_trip(in_a_row, now)?;
        self.open(state, reason, now, rng)
    }

    /// Opens it at once: no replica is left to ask.
    pub fn trip(&self, reason: &str, now: Timestamp, rng: &mut impl Rng) -> Option<Transition> {
        let state = self.state();
        if self.policy.trip == Trip::Never || matches!(state, BreakerState::Open | BreakerState::HalfOpen) {
            return None;
        }
        self.open(state, reason.to_owned(), now, rng)
    }

    fn ask_for_probe(
        &self,
        state: BreakerState,
        moment: u64,
        now: Timestamp,
    ) -> (Verdict, Option<Transition>) {
        let due = Timestamp::from_nanos(moment);
        if now < due {
            // While a probe is under way nobody knows when it ends: soon, if it goes well.
            let wait = if state == BreakerState::Open {
                due.since(now)
            } else {
                self.policy.open_min
            };
            return (Verdict::Refuse { retry_after: wait }, None);
        }
        // The probe belongs to whoever moves `moment`, so there is never a second one.
        let give_up = (now + self.policy.open_max).as_nanos();
        if self
            .moment
            .compare_exchange(moment, give_up, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return (
                Verdict::Refuse {
                    retry_after: self.policy.open_min,
                },
                None,
            );
        }
        let transition = self.move_to(state, BreakerState::HalfOpen, || "one call probes".to_owned());
        (Verdict::Probe, transition.filter(|_| state == BreakerState::Open))
    }

    fn ask_on_ramp(&self, began: u64, now: Timestamp, rng: &mut impl Rng) -> (Verdict, Option<Transition>) {
        let elapsed = now.since(Timestamp::from_nanos(began));
        if elapsed >= self.policy.ramp {
            let closed = self.move_to(BreakerState::Ramping, BreakerState::Closed, || {
                format!("{} went well", format_duration(self.policy.ramp))
            });
            if closed.is_some() {
                self.openings.store(0, Ordering::Relaxed);
            }
            return (Verdict::Pass, closed);
        }
        // A tenth at once, so that a callee with few calls is not starved through the whole ramp.
        let share = (elapsed.as_secs_f64() / self.policy.ramp.as_secs_f64()).max(0.1);
        if rng.unit() < share {
            (Verdict::Pass, None)
        } else {
            (
                Verdict::Refuse {
                    retry_after: self.policy.ramp.saturating_sub(elapsed),
                },
                None,
            )
        }
    }

    fn record_probe(&self, outcome: Outcome, now: Timestamp, rng: &mut impl Rng) -> Option<Transition> {
        if self.state() != BreakerState::HalfOpen {
            return None; // it was given up before
        }
        match outcome {
            Outcome::Success | Outcome::Rejected => {
                self.window.clear();
                self.consecutive_failures.store(0, Ordering::Relaxed);
                let ramping = self.move_to(BreakerState::HalfOpen, BreakerState::Ramping, || {
                    "the probe went well".to_owned()
                });
                // Until this store the ramp seems to begin in the future, which lets its smallest share through.
                self.moment.store(now.as_nanos(), Ordering::Release);
                ramping
            }
            Outcome::Failure | Outcome::Slow => {
                self.open(BreakerState::HalfOpen, "the probe failed".to_owned(), now, rng)
            }
            Outcome::Cancelled => {
                self.moment.store(now.as_nanos(), Ordering::Release); // the next call may probe
                None
            }
        }
    }

    fn reason_to_trip(&self, in_a_row: u32, now: Timestamp) -> Option<String> {
        match self.policy.trip {
            Trip::FailureRatio { min_calls, ratio } => {
                let counts = self.window.counts(now);
                let tripped = counts.calls >= u64::from(min_calls)
                    && counts.failures as f64 > counts.calls as f64 * ratio;
                let window = format_duration(self.policy.window);
                tripped.then(|| format!("{} of {} calls failed in {window}", counts.failures, counts.calls))
            }
            Trip::ConsecutiveFailures(most) => {
                (in_a_row > most).then(|| format!("{in_a_row} calls in a row failed"))
            }
            Trip::Never => None,
        }
    }

    fn open(
        &self,
        from: BreakerState,
        reason: String,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Transition> {
        let openings = self.openings.load(Ordering::Relaxed);
        let longest = self
            .policy
            .open_min
            .saturating_mul(2_u32.saturating_pow(openings))
            .min(self.policy.open_max);
        // Half of the wait is jittered, so that the callers of one callee do not probe together.
        let wait = longest.mul_f64(0.5 + rng.unit() / 2.0);
        let moment = self.moment.load(Ordering::Acquire);
        let transition = self.move_to(from, BreakerState::Open, || reason)?;
        // Between the two stores `moment` is an old one, which lets a probe through early: harmless.
        let until = (now + wait).as_nanos();
        let _ = self
            .moment
            .compare_exchange(moment, until, Ordering::AcqRel, Ordering::Relaxed);
        self.openings.store(openings.saturating_add(1), Ordering::Relaxed);
        self.window.clear();
        self.consecutive_failures.store(0, Ordering::Relaxed);
        Some(transition)
    }

    fn move_to(
        &self,
        from: BreakerState,
        to: BreakerState,
        reason: impl FnOnce() -> String,
    ) -> Option<Transition> {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Relaxed)
            .ok()
            .map(|_| Transition {
                from,
                to,
                reason: reason(),
            })
    }
}

#[cfg(test)]
mod tests;
