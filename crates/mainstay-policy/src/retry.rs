//! When and how often to try again.

use std::time::Duration;

use mainstay_base::{Retryability, Rng};

use crate::Outcome;

/// When and how often to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// How long to wait before each.
    pub backoff: Backoff,
    /// A retry must have at least this much time left before the deadline, or it is not worth making.
    pub min_left: Duration,
    /// Which answers count as failed and worth another attempt.
    pub retry_on: RetryOn,
}

/// How long to wait before a retry.
#[derive(Clone, Debug, PartialEq)]
pub enum Backoff {
    /// Full jitter (AWS, "Exponential Backoff and Jitter"): `rand(0, min(cap, base * 2^n))`.
    FullJitter {
        /// Upper bound of the first wait.
        base: Duration,
        /// Upper bound of every wait.
        cap: Duration,
    },
    /// The same wait every time, as a Dapr `constant` policy says.
    Constant(Duration),
    /// Dapr's `exponential` policy: `initial * 1.5^n`, jittered by half, at most `max`.
    Exponential {
        /// The first wait.
        initial: Duration,
        /// The longest wait.
        max: Duration,
    },
}

/// Which answers are worth another attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum RetryOn {
    /// HTTP 502, 503 (without Retry-After), 504 and 500; gRPC `UNAVAILABLE`, `INTERNAL`, `UNKNOWN`, `ABORTED`,
    /// `DEADLINE_EXCEEDED` (of the attempt); broken and refused connections.
    Failures,
    /// Exactly these codes, as a Dapr `matching` says; broken and refused connections as well.
    Codes {
        /// Inclusive ranges of HTTP status codes.
        http: Vec<(u16, u16)>,
        /// Inclusive ranges of gRPC status codes.
        grpc: Vec<(u16, u16)>,
    },
}

/// What is known when an attempt has ended badly.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the callee may have acted on it.
    pub retryability: Retryability,
    /// Whether doing the call twice is as good as once.
    pub idempotent: bool,
    /// Attempts made so far.
    pub attempts: u32,
    /// What is left until the deadline.
    pub left: Duration,
}

/// What to do after an attempt that ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this wait; charge the budget first.
    Retry {
        /// How long to wait.
        wait: Duration,
    },
    /// Pass on what there is.
    Stop(Why),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It ended well, was refused by an overloaded callee, or the caller went away.
    NotRetryable,
    /// Doing it twice may do harm.
    NotIdempotent,
    /// All attempts are used up.
    Attempts,
    /// Too little time is left for another one.
    Deadline,
}

impl RetryPolicy {
    /// Whether to try again.
    ///
    /// A callee that refuses to protect itself is never asked again at once: that would feed the overload
    /// (`Outcome::Rejected`).
    pub fn decide(&self, ended: Ended, rng: &mut impl Rng) -> Decision {
        if ended.outcome != Outcome::Failure || ended.retryability == Retryability::Never {
            return Decision::Stop(Why::NotRetryable);
        }
        if ended.retryability == Retryability::IfIdempotent && !ended.idempotent {
            return Decision::Stop(Why::NotIdempotent);
        }
        if ended.attempts > self.max_retries {
            return Decision::Stop(Why::Attempts);
        }
        let wait = self.backoff.wait(ended.attempts.saturating_sub(1), rng);
        if ended.left < wait.saturating_add(self.min_left) {
            return Decision::Stop(Why::Deadline);
        }
        Decision::Retry { wait }
    }
}

impl RetryOn {
    /// Whether an answer with this HTTP status is worth another attempt.
    pub fn http(&self, status: u16) -> bool {
        match self {
            Self::Failures => matches!(status, 500 | 502..=504),
            Self::Codes { http, .. } => within(http, status),
        }
    }

    /// Whether an answer with this gRPC status code is worth another attempt.
    pub fn grpc(&self, code: u16) -> bool {
        match self {
            // UNKNOWN, DEADLINE_EXCEEDED, ABORTED, INTERNAL, UNAVAILABLE
            Self::Failures => matches!(code, 2 | 4 | 10 | 13 | 14),
            Self::Codes { grpc, .. } => within(grpc, code),
        }
    }
}

fn within(ranges: &[(u16, u16)], code: u16) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&code))
}

impl Backoff {
    /// The wait before retry number `retry`, counted from 0.
    pub fn wait(&self, retry: u32, rng: &mut impl Rng) -> Duration {
        match self {
            Self::FullJitter { base, cap } => base
                .saturating_mul(2_u32.saturating_pow(retry))
                .min(*cap)
                .mul_f64(rng.unit()),
            Self::Constant(wait) => *wait,
            Self::Exponential { initial, max } => {
                // 1.5^64 is past every `max`; the bound keeps the product finite.
                let middle = initial.as_secs_f64() * 1.5_f64.powi(retry.min(64).cast_signed());
                let middle = middle.min(max.as_secs_f64());
                Duration::from_secs_f64((middle * (0.5 + rng.unit())).min(max.as_secs_f64()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_base::SplitMix64;
    use proptest::prelude::*;

    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_retries: 2,
            backoff: Backoff::Constant(Duration::from_millis(10)),
            min_left: Duration::from_millis(100),
            retry_on: RetryOn::Failures,
        }
    }

    const ENDED: Ended = Ended {
        outcome: Outcome::Failure,
        retryability: Retryability::IfIdempotent,
        idempotent: true,
        attempts: 1,
        left: Duration::from_secs(1),
    };

    #[test]
    fn decides() {
        let check = |ended: Ended, expected: Decision| {
            assert_eq!(
                policy().decide(ended, &mut SplitMix64::new(1)),
                expected,
                "{ended:?}"
            );
        };
        let retry = Decision::Retry {
            wait: Duration::from_millis(10),
        };
        check(ENDED, retry);
        check(Ended { attempts: 2, ..ENDED }, retry);
        check(Ended { attempts: 3, ..ENDED }, Decision::Stop(Why::Attempts));
        check(
            Ended {
                idempotent: false,
                ..ENDED
            },
            Decision::Stop(Why::NotIdempotent),
        );
        check(
            Ended {
                idempotent: false,
                retryability: Retryability::Always,
                ..ENDED
            },
            retry,
        );
        check(
            Ended {
                retryability: Retryability::Never,
                ..ENDED
            },
            Decision::Stop(Why::NotRetryable),
        );
        check(
            Ended {
                left: Duration::from_millis(109),
                ..ENDED
            },
            Decision::Stop(Why::Deadline),
        );
        check(
            Ended {
                left: Duration::from_millis(110),
                ..ENDED
            },
            retry,
        );
        for outcome in [
            Outcome::Success,
            Outcome::Slow,
            Outcome::Rejected,
            Outcome::Cancelled,
        ] {
            check(Ended { outcome, ..ENDED }, Decision::Stop(Why::NotRetryable));
        }
    }

    #[test]
    fn codes() {
        assert!(RetryOn::Failures.http(503) && !RetryOn::Failures.http(501) && !RetryOn::Failures.http(404));
        assert!(RetryOn::Failures.grpc(14) && !RetryOn::Failures.grpc(8) && !RetryOn::Failures.grpc(12));
        let some = RetryOn::Codes {
            http: vec![(429, 429), (500, 599)],
            grpc: vec![(1, 4)],
        };
        assert!(some.http(429) && some.http(501) && !some.http(404) && some.grpc(3) && !some.grpc(14));
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(retry in 0_u32..1_000, base_ms in 1_u64..10_000, cap_ms in 1_u64..60_000, seed: u64) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
            let rng = &mut SplitMix64::new(seed);
            let doubled = base.saturating_mul(2_u32.saturating_pow(retry));
            let full = Backoff::FullJitter { base, cap }.wait(retry, rng);
            prop_assert!(full <= cap.min(doubled));
            let exponential = Backoff::Exponential { initial: base, max: cap }.wait(retry, rng);
            prop_assert!(exponential <= cap);
        }
    }
}
