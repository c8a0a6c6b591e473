//! When and how often to try again.

use std::time::Duration;

use mainstay_base::Rng;

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
    /// HTTP 502, 503 (without Retry-After), 504 and 500; gRPC UNAVAILABLE, INTERNAL, UNKNOWN, ABORTED,
    /// DEADLINE_EXCEEDED (of the attempt); broken and refused connections.
    Failures,
    /// Exactly these codes, as a Dapr `matching` says; broken and refused connections as well.
    Codes {
        /// Inclusive ranges of HTTP status codes.
        http: Vec<(u16, u16)>,
        /// Inclusive ranges of gRPC status codes.
        grpc: Vec<(u16, u16)>,
    },
}

impl Backoff {
    /// The wait before retry number `retry`, counted from 0.
    pub fn wait(&self, retry: u32, rng: &mut impl Rng) -> Duration {
        let _ = (retry, rng);
        todo!("policy")
    }
}
