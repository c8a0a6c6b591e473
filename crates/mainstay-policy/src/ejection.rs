//! Leaving out a replica that fails.
//!
//! A replica is left out after failures in a row or for a bad success ratio (Envoy outlier detection, Finagle failure
//! accrual). When its time is over one call tries it; a good answer brings it back, a bad one leaves it out for twice as
//! long. Whether the set can spare it is asked of the set: [`may_eject`].

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, Timestamp, format_duration};

use crate::Outcome;
use crate::window::Window;

/// When a replica is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct EjectionPolicy {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Share of good answers in the window below which it is left out.
    pub min_success_ratio: f64,
    /// Fewer calls in the window say nothing.
    pub min_calls: u32,
    /// How long calls count.
    pub window: Duration,
    /// How long it is left out the first time.
    pub eject_min: Duration,
    /// How long it is left out at most; each time in a row doubles.
    pub eject_max: Duration,
}

/// What happened to a replica's standing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is left out for this long.
    Ejected {
        /// How long.
        duration: Duration,
        /// Why, in words with the figures.
        reason: String,
    },
    /// A probe went well: it takes part again.
    Returned,
}

/// Whether a replica may be given a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes part.
    In,
    /// It is left out. Where every replica is, one of these is better than none.
    Out,
    /// Its time is over: one call may try it ([`Ejection::claim_probe`]).
    ProbeDue,
}

const TAKES_PART: u8 = 0;
const LEFT_OUT: u8 = 1;
const PROBING: u8 = 2;

/// The standing of one replica. Lock-free; only a change allocates.
#[derive(Debug)]
pub struct Ejection {
    policy: EjectionPolicy,
    state: AtomicU8,
    /// Takes part: since when. Left out: until when. Probing: when the probe is given up.
    moment: AtomicU64,
    /// Times left out in a row.
    times: AtomicU32,
    consecutive_failures: AtomicU32,
    window: Window,
}

impl Ejection {
    /// A replica in good standing.
    pub fn new(policy: &EjectionPolicy) -> Self {
        Self {
            window: Window::new(policy.window),
            policy: policy.clone(),
            state: AtomicU8::new(TAKES_PART),
            moment: AtomicU64::new(0),
            times: AtomicU32::new(0),
            consecutive_failures: AtomicU32::new(0),
        }
    }

    /// Whether it may be given a call.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.state.load(Ordering::Acquire) == TAKES_PART {
            Standing::In
        } else if now < self.moment() {
            Standing::Out
        } else {
            Standing::ProbeDue
        }
    }

    /// Takes the one probe; `false` when another call has it. A probe that is never recorded is given up after
    /// `eject_min`.
    pub fn claim_probe(&self, now: Timestamp) -> bool {
        let moment = self.moment();
        if self.state.load(Ordering::Acquire) == TAKES_PART || now < moment {
            return false;
        }
        let give_up = (now + self.policy.eject_min).as_nanos();
        // The probe belongs to whoever moves the moment, so there is never a second one.
        let claimed = self
            .moment
            .compare_exchange(moment.as_nanos(), give_up, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if claimed {
            self.state.store(PROBING, Ordering::Release);
        }
        claimed
    }

    /// Tells how an attempt ended. `may_eject` is what [`may_eject`] says of the set of replicas at this moment; asked
    /// only when it matters.
    ///
    /// A late answer, a refusal to protect itself and a caller that went away say nothing against a replica.
    pub fn record(
        &self,
        outcome: Outcome,
        may_eject: impl FnOnce() -> bool,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let failed = match outcome {
            Outcome::Failure => true,
            Outcome::Success | Outcome::Slow | Outcome::Rejected => false,
            Outcome::Cancelled => return None,
        };
        match (self.state.load(Ordering::Acquire), failed) {
            (TAKES_PART, false) => self.record_good(now),
            (TAKES_PART, true) => self.record_bad(may_eject, now, rng),
            // A failure from before it was left out: told once is enough.
            (LEFT_OUT, true) => None,
            (_, true) => self.eject(PROBING, "the probe failed".to_owned(), now, rng),
            // A good answer brings it back, also when it was asked as a last resort.
            (state, false) => self.return_from(state, now),
        }
    }

    /// Lets it take part again without a probe: too few others are left to be choosy.
    pub fn readmit(&self, now: Timestamp) {
        self.return_from(self.state.load(Ordering::Acquire), now);
    }

    fn moment(&self) -> Timestamp {
        Timestamp::from_nanos(self.moment.load(Ordering::Acquire))
    }

    fn record_good(&self, now: Timestamp) -> Option<Change> {
        self.window.record(false, now);
        // A plain load first: the store would bounce the cache line between the workers on every good call.
        if self.consecutive_failures.load(Ordering::Relaxed) != 0 {
            self.consecutive_failures.store(0, Ordering::Relaxed);
        }
        None
    }

    fn record_bad(
        &self,
        may_eject: impl FnOnce() -> bool,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        self.window.record(true, now);
        let in_a_row = self.consecutive_failures.fetch_add(1, Ordering::Relaxed) + 1;
        let reason = self.reason_to_eject(in_a_row, now)?;
        if !may_eject() {
            return None;
        }
        if now.since(self.moment()) > self.policy.window {
            self.times.store(0, Ordering::Relaxed); // it was good for a while: not in a row
        }
        self.eject(TAKES_PART, reason, now, rng)
    }

    fn reason_to_eject(&self, in_a_row: u32, now: Timestamp) -> Option<String> {
        if in_a_row >= self.policy.consecutive_failures {
            return Some(format!("{in_a_row} calls in a row failed"));
        }
        let counts = self.window.counts(now);
        let good = counts.calls.saturating_sub(counts.failures) as f64;
        let bad = counts.calls >= u64::from(self.policy.min_calls)
            && good < counts.calls as f64 * self.policy.min_success_ratio;
        let window = format_duration(self.policy.window);
        bad.then(|| format!("{} of {} calls failed in {window}", counts.failures, counts.calls))
    }

    fn eject(&self, from: u8, reason: String, now: Timestamp, rng: &mut impl Rng) -> Option<Change> {
        let times = self.times.load(Ordering::Relaxed);
        let longest = self
            .policy
            .eject_min
            .saturating_mul(2_u32.saturating_pow(times))
            .min(self.policy.eject_max);
        // Half of the time is jittered, so that replicas that failed together are not tried together.
        let duration = longest.mul_f64(0.5 + rng.unit() / 2.0);
        self.state
            .compare_exchange(from, LEFT_OUT, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        // Until this store the moment is an old one, which makes a probe due early: harmless.
        self.moment.store((now + duration).as_nanos(), Ordering::Release);
        self.times.store(times.saturating_add(1), Ordering::Relaxed);
        Some(Change::Ejected { duration, reason })
    }

    fn return_from(&self, state: u8, now: Timestamp) -> Option<Change> {
        if state == TAKES_PART {
            return None;
        }
        self.state
            .compare_exchange(state, TAKES_PART, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        self.moment.store(now.as_nanos(), Ordering::Release);
        self.consecutive_failures.store(0, Ordering::Relaxed);
        self.window.clear();
        Some(Change::Returned)
    }
}

/// Whether one more of `total` replicas may be left out when `ejected` are already: never more than half, never the
/// last (Envoy's `max_ejection_percent`; a breaker over two replicas is noise).
pub const fn may_eject(ejected: usize, total: usize) -> bool {
    total > 1 && (ejected + 1) * 2 <= total
}

#[cfg(test)]
mod tests {
    use mainstay_base::SplitMix64;
    use proptest::prelude::*;

    use super::*;

    fn policy() -> EjectionPolicy {
        EjectionPolicy {
            consecutive_failures: 5,
            min_success_ratio: 0.8,
            min_calls: 20,
            window: Duration::from_secs(10),
            eject_min: Duration::from_secs(5),
            eject_max: Duration::from_secs(300),
        }
    }

    fn fail(ejection: &Ejection, now: Timestamp) -> Option<Change> {
        ejection.record(Outcome::Failure, || true, now, &mut SplitMix64::new(1))
    }

    fn succeed(ejection: &Ejection, now: Timestamp) -> Option<Change> {
        ejection.record(Outcome::Success, || true, now, &mut SplitMix64::new(1))
    }

    #[test]
    fn five_in_a_row_leave_it_out_and_one_good_probe_brings_it_back() {
        let ejection = Ejection::new(&policy());
        let start = Timestamp::ZERO;
        assert!((0..4).all(|_| fail(&ejection, start).is_none()));
        assert!(matches!(fail(&ejection, start), Some(Change::Ejected { .. })));
        assert_eq!(ejection.standing(start), Standing::Out);
        assert_eq!(
            fail(&ejection, start),
            None,
            "a late failure does not count twice"
        );
        let later = start + Duration::from_secs(5);
        assert_eq!(ejection.standing(later), Standing::ProbeDue);
        assert!(ejection.claim_probe(later) && !ejection.claim_probe(later));
        assert_eq!(succeed(&ejection, later), Some(Change::Returned));
        assert_eq!(ejection.standing(later), Standing::In);
    }

    #[test]
    fn each_time_in_a_row_doubles_and_calm_resets() {
        let ejection = Ejection::new(&policy());
        let mut now = Timestamp::ZERO;
        for _ in 0..4 {
            fail(&ejection, now);
        }
        let mut change = fail(&ejection, now);
        for longest_secs in [5_u64, 10, 20, 40, 80, 160, 300, 300] {
            let Some(Change::Ejected { duration, .. }) = change else {
                panic!("left out: {change:?}")
            };
            let longest = Duration::from_secs(longest_secs);
            assert!(
                duration >= longest / 2 && duration <= longest,
                "{duration:?} of {longest:?}"
            );
            now = now + longest;
            assert!(ejection.claim_probe(now));
            change = fail(&ejection, now);
        }
        now = now + Duration::from_secs(300);
        assert!(ejection.claim_probe(now));
        assert_eq!(succeed(&ejection, now), Some(Change::Returned));
        now = now + Duration::from_secs(11);
        let again = (0..5).find_map(|_| fail(&ejection, now));
        assert!(
            matches!(again, Some(Change::Ejected { duration, .. }) if duration <= Duration::from_secs(5))
        );
    }

    #[test]
    fn a_bad_ratio_leaves_it_out() {
        let ejection = Ejection::new(&policy());
        let change = (0..100).find_map(|call| {
            let now = Timestamp::ZERO + Duration::from_millis(call);
            if call % 3 == 0 {
                fail(&ejection, now)
            } else {
                succeed(&ejection, now)
            }
        });
        assert!(
            matches!(change, Some(Change::Ejected { .. })),
            "a third failed, a fifth may"
        );
    }

    #[test]
    fn the_set_decides() {
        let ejection = Ejection::new(&policy());
        let rng = &mut SplitMix64::new(1);
        for _ in 0..100 {
            assert_eq!(
                ejection.record(Outcome::Failure, || false, Timestamp::ZERO, rng),
                None
            );
        }
        assert!(
            !may_eject(0, 1) && may_eject(0, 2) && !may_eject(1, 2) && !may_eject(1, 3) && may_eject(1, 4)
        );
    }

    proptest! {
        /// Whatever happens, a replica that is left out is tried again, and the good answer brings it back.
        #[test]
        fn never_out_for_good(steps in prop::collection::vec((0_u64..5_000, 0_u8..4), 1..300), seed: u64) {
            let rng = &mut SplitMix64::new(seed);
            let ejection = Ejection::new(&policy());
            let mut now = Timestamp::ZERO;
            for (gap_ms, what) in steps {
                now = now + Duration::from_millis(gap_ms);
                if ejection.standing(now) == Standing::ProbeDue {
                    ejection.claim_probe(now);
                }
                let outcome = match what {
                    0 => Outcome::Success,
                    1 | 2 => Outcome::Failure,
                    _ => continue, // never recorded
                };
                ejection.record(outcome, || true, now, rng);
            }
            now = now + Duration::from_secs(300);
            if ejection.standing(now) != Standing::In {
                prop_assert!(ejection.claim_probe(now));
                prop_assert_eq!(ejection.record(Outcome::Success, || true, now, rng), Some(Change::Returned));
            }
            prop_assert_eq!(ejection.standing(now), Standing::In);
        }
    }
}
