use mainstay_base::SplitMix64;
use proptest::prelude::*;

use super::*;

fn policy() -> BreakerPolicy {
    BreakerPolicy {
        trip: Trip::FailureRatio {
            min_calls: 20,
            ratio: 0.5,
        },
        window: Duration::from_secs(10),
        open_min: Duration::from_secs(1),
        open_max: Duration::from_secs(30),
        ramp: Duration::from_secs(10),
    }
}

/// Fails calls until it opens; gives how many it took.
fn open(breaker: &Breaker, now: Timestamp) -> usize {
    let rng = &mut SplitMix64::new(1);
    (1..=1000)
        .find(|_| {
            breaker
                .record(Verdict::Pass, Outcome::Failure, now, rng)
                .is_some()
        })
        .expect("it opens in the end")
}

fn probe(breaker: &Breaker, now: Timestamp, outcome: Outcome) -> Option<Transition> {
    let rng = &mut SplitMix64::new(2);
    assert_eq!(breaker.ask(now, rng).0, Verdict::Probe);
    breaker.record(Verdict::Probe, outcome, now, rng)
}

#[test]
fn few_calls_say_nothing_and_half_is_not_enough() {
    let rng = &mut SplitMix64::new(1);
    let breaker = Breaker::new(policy());
    assert_eq!(open(&breaker, Timestamp::ZERO), 20);
    let breaker = Breaker::new(policy());
    for _ in 0..500 {
        for outcome in [
            Outcome::Success,
            Outcome::Slow,
            Outcome::Rejected,
            Outcome::Failure,
            Outcome::Cancelled,
        ] {
            assert_eq!(breaker.record(Verdict::Pass, outcome, Timestamp::ZERO, rng), None);
        }
    }
}

#[test]
fn opens_probes_ramps_and_closes() {
    let rng = &mut SplitMix64::new(1);
    let breaker = Breaker::new(policy());
    open(&breaker, Timestamp::ZERO);
    let Verdict::Refuse { retry_after } = breaker.ask(Timestamp::ZERO, rng).0 else {
        panic!("it is open")
    };
    assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&retry_after));

    let later = Timestamp::ZERO + Duration::from_secs(1);
    assert_eq!(breaker.ask(later, rng).0, Verdict::Probe);
    assert!(
        matches!(breaker.ask(later, rng).0, Verdict::Refuse { .. }),
        "one probe at a time"
    );
    let ramping = breaker.record(Verdict::Probe, Outcome::Success, later, rng);
    assert_eq!(
        ramping.map(|transition| transition.to),
        Some(BreakerState::Ramping)
    );

    let passed = |after_secs, rng: &mut SplitMix64| {
        (0..1000)
            .filter(|_| breaker.ask(later + Duration::from_secs(after_secs), rng).0 == Verdict::Pass)
            .count()
    };
    assert!((50..200).contains(&passed(0, rng)));
    assert!((400..600).contains(&passed(5, rng)));
    assert_eq!(passed(10, rng), 1000);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn openings_in_a_row_double_up_to_the_longest() {
    let rng = &mut SplitMix64::new(1);
    let breaker = Breaker::new(policy());
    let mut now = Timestamp::ZERO;
    open(&breaker, now);
    for longest_secs in [1_u64, 2, 4, 8, 16, 30, 30] {
        let longest = Duration::from_secs(longest_secs);
        let Verdict::Refuse { retry_after } = breaker.ask(now, rng).0 else {
            panic!("it is open")
        };
        assert!(
            retry_after >= longest / 2 && retry_after <= longest,
            "{retry_after:?} of {longest:?}"
        );
        now = now + longest;
        let reopened = probe(&breaker, now, Outcome::Failure).expect("a failed probe opens it again");
        assert_eq!(
            (reopened.from, reopened.to),
            (BreakerState::HalfOpen, BreakerState::Open)
        );
    }
}

#[test]
fn a_lost_or_cancelled_probe_does_not_wedge_it() {
    let rng = &mut SplitMix64::new(1);
    let breaker = Breaker::new(policy());
    open(&breaker, Timestamp::ZERO);
    let mut now = Timestamp::ZERO + Duration::from_secs(1);
    assert_eq!(breaker.ask(now, rng).0, Verdict::Probe);
    breaker.record(Verdict::Probe, Outcome::Cancelled, now, rng);
    assert_eq!(
        breaker.ask(now, rng).0,
        Verdict::Probe,
        "the cancelled probe is made up for"
    );
    now = now + Duration::from_secs(30);
    assert_eq!(
        breaker.ask(now, rng).0,
        Verdict::Probe,
        "the lost probe is made up for"
    );
}

#[test]
fn trips_on_consecutive_failures() {
    let breaker = Breaker::new(BreakerPolicy {
        trip: Trip::ConsecutiveFailures(5),
        ..policy()
    });
    assert_eq!(open(&breaker, Timestamp::ZERO), 6);
    let never = Breaker::new(BreakerPolicy {
        trip: Trip::Never,
        ..policy()
    });
    let rng = &mut SplitMix64::new(1);
    assert!((0..1000).all(|_| {
        never
            .record(Verdict::Pass, Outcome::Failure, Timestamp::ZERO, rng)
            .is_none()
    }));
    assert_eq!(never.trip("no replica", Timestamp::ZERO, rng), None);
}

proptest! {
    /// Whatever happens: after a minute without news it lets a call through, and never two probes at a time.
    #[test]
    fn never_wedged_and_never_two_probes(
        steps in prop::collection::vec((0_u64..3_000, 0_u8..6), 1..400),
        seed: u64,
    ) {
        let rng = &mut SplitMix64::new(seed);
        let breaker = Breaker::new(policy());
        let mut now = Timestamp::ZERO;
        let mut probing: Option<Timestamp> = None;
        for (gap_ms, what) in steps {
            now = now + Duration::from_millis(gap_ms);
            let (verdict, _) = breaker.ask(now, rng);
            if verdict == Verdict::Probe {
                let given_up = probing.is_none_or(|since| now.since(since) >= Duration::from_secs(30));
                prop_assert!(given_up, "two probes at a time");
                probing = Some(now);
            }
            let outcome = match what {
                0 => Outcome::Success,
                1..=3 => Outcome::Failure,
                4 => Outcome::Cancelled,
                _ => continue, // never recorded
            };
            if !matches!(verdict, Verdict::Refuse { .. }) {
                breaker.record(verdict, outcome, now, rng);
            }
            if verdict == Verdict::Probe {
                probing = None;
            }
        }
        now = now + Duration::from_mins(1);
        let verdict = breaker.ask(now, rng).0;
        prop_assert!(!matches!(verdict, Verdict::Refuse { .. }), "{:?}", breaker.state());
    }
}
