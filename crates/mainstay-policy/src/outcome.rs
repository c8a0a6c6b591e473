//! How an attempt ended, as far as the mechanisms care.

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered well and in time.
    Success,
    /// Answered well, but later than the SLA promises: the breaker counts it as failed, ejection does not.
    Slow,
    /// Answered with a failure of the callee, broke off, or timed out.
    Failure,
    /// The callee refused to protect itself (503 with Retry-After, 429, `RESOURCE_EXHAUSTED`): never retried at once.
    Rejected,
    /// The caller went away: says nothing about the callee.
    Cancelled,
}
