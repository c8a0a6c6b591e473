//! How much extra load retries may make.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::bucket::TokenBucket;

/// How much extra load retries may make.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetPolicy {
    /// Retries per call, `0.2` is 20 %.
    pub ratio: f64,
    /// Retries per second that are always allowed, so that a quiet edge can retry at all.
    pub min_per_second: f64,
    /// How long a call counts.
    pub window: Duration,
}

/// The retry budget of one edge, after Finagle's `RetryBudget` (twitter/finagle, `RetryBudget.scala`). Lock-free.
///
/// Charge it when the retry is scheduled, not when it is sent: a retry in backoff is load to come
/// (envoyproxy/envoy#30205).
#[derive(Debug)]
pub struct RetryBudget(TokenBucket);

impl RetryBudget {
    /// A budget on `policy`; its reserve is full at first, so that the very first failure can be retried.
    pub fn new(policy: &BudgetPolicy, now: Timestamp) -> Self {
        Self(TokenBucket::new(
            policy.ratio,
            policy.min_per_second,
            policy.window,
            now,
        ))
    }

    /// A first attempt was made.
    pub fn deposit(&self, now: Timestamp) {
        self.0.deposit(now);
    }

    /// Takes one retry out; `false` when none is left.
    pub fn withdraw(&self, now: Timestamp) -> bool {
        self.0.withdraw(now)
    }

    /// Retries that could be made now.
    pub fn balance(&self, now: Timestamp) -> f64 {
        self.0.balance(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BudgetPolicy = BudgetPolicy {
        ratio: 0.2,
        min_per_second: 10.0,
        window: Duration::from_secs(10),
    };

    #[test]
    fn a_quiet_edge_has_its_reserve_and_no_more() {
        let start = Timestamp::ZERO;
        let budget = RetryBudget::new(&POLICY, start);
        let granted = |after_secs| {
            let now = start + Duration::from_secs(after_secs);
            (0..1000).filter(|_| budget.withdraw(now)).count()
        };
        assert_eq!(granted(0), 100, "one window of 10/s");
        assert_eq!(granted(0), 0);
        assert_eq!(granted(1), 10);
        assert_eq!(granted(3600), 100);
    }

    #[test]
    fn what_calls_earned_expires() {
        let budget = RetryBudget::new(
            &BudgetPolicy {
                min_per_second: 0.0,
                ..POLICY
            },
            Timestamp::ZERO,
        );
        for _ in 0..100 {
            budget.deposit(Timestamp::ZERO);
        }
        assert!((budget.balance(Timestamp::ZERO) - 20.0).abs() < 1e-9);
        assert!((budget.balance(Timestamp::ZERO + Duration::from_secs(11)) - 20.0).abs() < 1e-9);
        assert!(budget.balance(Timestamp::ZERO + Duration::from_secs(30)).abs() < 1e-9);
    }

    proptest! {
        /// R10: a dependency that is down gets at most 1.2 times its load, beside the reserve.
        #[test]
        fn never_more_than_the_ratio(gaps_us in prop::collection::vec(1_u64..5_000, 1..2_000)) {
            let budget = RetryBudget::new(&POLICY, Timestamp::ZERO);
            let (mut now, mut calls, mut retries) = (Timestamp::ZERO, 0_u32, 0_u32);
            for gap_us in gaps_us {
                now = now + Duration::from_micros(gap_us);
                budget.deposit(now);
                calls += 1;
                retries += u32::from(budget.withdraw(now)) + u32::from(budget.withdraw(now));
                let reserve = 100.0 + 10.0 * now.since(Timestamp::ZERO).as_secs_f64();
                prop_assert!(f64::from(retries) <= f64::from(calls) * 0.2 + reserve + 1.0);
            }
        }
    }
}
