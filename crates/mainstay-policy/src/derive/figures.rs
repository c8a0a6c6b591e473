//! The constants of the table, and how figures are written.

use std::time::Duration;

use mainstay_base::format_duration;

/// Attempts after the first (Google SRE, "Handling Overload": at most three attempts).
pub(super) const MAX_RETRIES: u32 = 2;
/// The shortest bound of the first wait.
pub(super) const MIN_BACKOFF: Duration = Duration::from_millis(10);
/// Retries per call (Finagle `RetryBudget`).
pub(super) const BUDGET_RATIO: f64 = 0.2;
/// Retries per second that are always allowed (Finagle `RetryBudget`).
pub(super) const BUDGET_MIN_PER_SECOND: f64 = 10.0;
/// How long calls count for budget, breaker and ejection.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Fewer calls say nothing.
pub(super) const MIN_CALLS: u32 = 20;
/// Share of failed calls that opens a breaker.
pub(super) const BREAKER_RATIO: f64 = 0.5;
/// How long a breaker stays open the first time.
pub(super) const OPEN_MIN: Duration = Duration::from_secs(1);
/// How long a breaker stays open at most.
pub(super) const OPEN_MAX: Duration = Duration::from_secs(30);
/// How long the share of calls let through grows after a good probe.
pub(super) const RAMP: Duration = Duration::from_secs(10);
/// Extra calls that hedging may make.
pub(super) const HEDGE_RATIO: f64 = 0.05;
/// The shortest wait before a second attempt (Finagle `BackupRequestFilter`).
pub(super) const HEDGE_MIN_DELAY: Duration = Duration::from_millis(1);
/// Where a learnt limit starts (Netflix concurrency-limits).
pub(super) const LIMIT_INITIAL: u32 = 20;
/// A learnt limit never falls below: a callee may be able to do only one thing at a time.
pub(super) const LIMIT_MIN: u32 = 1;
/// A learnt limit never rises above without a promised concurrency (Netflix Vegas).
pub(super) const LIMIT_MAX: u32 = 1_000;
/// Calls that wait at most, whatever the limits (Linkerd's queue).
pub(super) const QUEUE_MAX: usize = 10_000;
/// `CoDel`: how long a queue may stand at least before the target holds (Facebook, "Fail at Scale"). A callee whose answers
/// take longer needs longer to drain a queue: RFC 8289, 4.2 takes the worst expected round trip, here the p99.
pub(super) const QUEUE_INTERVAL: Duration = Duration::from_millis(100);
/// `CoDel`: the wait that is fine while the queue does not drain is this part of the interval (RFC 8289, 4.3: 5 %).
pub(super) const QUEUE_INTERVAL_PER_TARGET: u32 = 20;
/// Failures in a row that eject a replica (Envoy, Finagle).
pub(super) const EJECT_CONSECUTIVE: u32 = 5;
/// How many times the error budget a replica may spend.
pub(super) const EJECT_BUDGETS: f64 = 20.0;
/// The share of failures that ejects at the earliest, whatever the promise.
pub(super) const EJECT_FLOOR: f64 = 0.2;
/// How long a replica is left out the first time (Finagle).
pub(super) const EJECT_MIN: Duration = Duration::from_secs(5);
/// How long a replica is left out at most (Finagle, Envoy).
pub(super) const EJECT_MAX: Duration = Duration::from_mins(5);
/// How long a call may take when its retries have no end and its caller promises nothing.
pub(super) const ENDLESS: Duration = Duration::from_mins(1);
/// The number of retries that means "without end" (Dapr's `maxRetries: -1`).
pub const UNLIMITED: u32 = u32::MAX;

/// `20%`, `99.95%`.
pub(super) fn percent(ratio: f64) -> String {
    let text = format!("{:.3}", ratio * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1s doubling to 30s`; `5s` when both are the same.
pub(super) fn doubling(min: Duration, max: Duration) -> String {
    if min == max {
        format_duration(min)
    } else {
        format!("{} doubling to {}", format_duration(min), format_duration(max))
    }
}
