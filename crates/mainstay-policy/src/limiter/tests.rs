//! What single calls do to the limiter; how it does under load is simulated in `tests/it/overload.rs`.

use std::time::Duration;

use mainstay_base::Timestamp;
use proptest::prelude::*;

use super::{LimitPolicy, Limiter};
use crate::Outcome;

const MS: Duration = Duration::from_millis(1);

fn policy() -> LimitPolicy {
    LimitPolicy {
        initial: 10,
        min: 2,
        max: 50,
        latency: 100 * MS,
    }
}

/// Seconds of calls that keep the limit reached, each with this latency and outcome. Gives the time after them.
fn saturate(limiter: &Limiter, from: Timestamp, secs: u32, latency: Duration, outcome: Outcome) -> Timestamp {
    let mut now = from;
    while now < from + Duration::from_secs(1) * secs {
        let mut started = 0;
        while limiter.try_start() {
            started += 1;
        }
        now = now + latency.max(MS);
        for _ in 0..started {
            limiter.finish(latency, outcome, now);
        }
    }
    now
}

#[test]
fn starts_as_many_calls_as_the_limit_says() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    assert!((0..10).all(|_| limiter.try_start()));
    assert!(!limiter.try_start());
    limiter.finish(MS, Outcome::Cancelled, Timestamp::ZERO);
    assert_eq!(limiter.in_flight(), 9);
    assert!(limiter.try_start() && !limiter.try_start());
}

#[test]
fn grows_to_its_maximum_while_the_latency_does_not_depend_on_it() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    saturate(&limiter, Timestamp::ZERO, 3, 10 * MS, Outcome::Success);
    assert_eq!(limiter.limit(), 50);
}

#[test]
fn calls_that_are_much_quicker_than_promised_do_not_lower_it() {
    let lowest_after = |quick: Duration, slow: Duration| {
        let limiter = Limiter::new(policy(), Timestamp::ZERO);
        let mut now = saturate(&limiter, Timestamp::ZERO, 3, quick, Outcome::Success);
        assert_eq!(limiter.limit(), 50);
        let mut lowest = 50;
        for _ in 0..3 {
            now = saturate(&limiter, now, 1, slow, Outcome::Success);
            lowest = lowest.min(limiter.limit());
        }
        lowest
    };
    // Nine times as long both times, but a fiftieth of the promised 100 ms is what nobody minds.
    assert_eq!(lowest_after(MS / 5, MS * 9 / 5), 50);
    assert!(lowest_after(4 * MS, 36 * MS) < 50);
}

#[test]
fn does_not_move_while_less_than_half_of_it_is_used() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    let mut now = Timestamp::ZERO;
    for round in 0..1_000 {
        // The callee becomes slower on its own account.
        let latency = if round < 500 { 10 * MS } else { 40 * MS };
        assert!((0..4).all(|_| limiter.try_start()));
        now = now + latency;
        for _ in 0..4 {
            assert!(!limiter.finish(latency, Outcome::Success, now));
        }
    }
    assert_eq!(limiter.limit(), 10);
    let normal = limiter.normal_latency();
    assert!(normal > 35 * MS, "it has aged: {normal:?}");
}

#[test]
fn quick_failures_and_cancelled_calls_teach_nothing() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    let now = saturate(&limiter, Timestamp::ZERO, 3, 10 * MS, Outcome::Success);
    let normal = limiter.normal_latency();
    let now = saturate(&limiter, now, 3, MS, Outcome::Failure);
    saturate(&limiter, now, 3, 50 * MS, Outcome::Cancelled);
    assert_eq!((limiter.limit(), limiter.normal_latency()), (50, normal));
}

#[test]
fn timeouts_lower_it() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    let now = saturate(&limiter, Timestamp::ZERO, 3, 10 * MS, Outcome::Success);
    saturate(&limiter, now, 2, 200 * MS, Outcome::Failure);
    assert!(limiter.limit() <= 25, "{}", limiter.limit());
}

#[test]
fn refusals_of_the_callee_lower_it_to_its_minimum() {
    let limiter = Limiter::new(policy(), Timestamp::ZERO);
    let now = saturate(&limiter, Timestamp::ZERO, 3, 10 * MS, Outcome::Success);
    saturate(&limiter, now, 3, MS, Outcome::Rejected);
    assert_eq!(limiter.limit(), 2);
}

#[test]
fn logarithms_are_near_enough() {
    for nanos in (0..63).flat_map(|power| {
        let step = 1_u64 << power;
        [
            step,
            step + step / 3,
            step + step / 2,
            step + step / 4 * 3,
            2 * step - 1,
        ]
    }) {
        let exact = (nanos as f64).log2() * super::LOG_PARTS;
        let off = exact - super::log2_parts(nanos) as f64;
        assert!((-2.0..3.0).contains(&off), "{nanos}: off by {off}");
    }
}

#[test]
fn contradictory_bounds_are_put_right() {
    let bounds = |initial, min, max| {
        let policy = LimitPolicy {
            initial,
            min,
            max,
            latency: Duration::ZERO,
        };
        Limiter::new(policy, Timestamp::ZERO).limit()
    };
    assert_eq!((bounds(0, 0, 0), bounds(5, 10, 3), bounds(99, 1, 7)), (1, 10, 7));
}

proptest! {
    /// Whatever it is told, it stays within its bounds and counts its calls.
    #[test]
    fn stays_within_its_bounds(calls in prop::collection::vec((0_u64..u64::MAX, 0_u64..200_000_000, 0_u8..5), 1..400)) {
        let limiter = Limiter::new(policy(), Timestamp::ZERO);
        let mut now = Timestamp::ZERO;
        for (latency, wait, outcome) in calls {
            now = now + Duration::from_nanos(wait);
            let outcome = [
                Outcome::Success,
                Outcome::Slow,
                Outcome::Failure,
                Outcome::Rejected,
                Outcome::Cancelled,
            ][usize::from(outcome)];
            while limiter.try_start() {}
            let before = limiter.in_flight();
            for _ in 0..20.min(before) {
                limiter.finish(Duration::from_nanos(latency), outcome, now);
            }
            prop_assert!((2..=50).contains(&limiter.limit()));
            prop_assert_eq!(limiter.in_flight(), before - 20.min(before));
        }
    }
}
