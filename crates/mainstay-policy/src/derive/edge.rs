//! What a caller does about one callee.

use std::fmt::Write as _;
use std::time::Duration;

use mainstay_base::format_duration;

use super::derived::{Derived, Field};
use super::figures::{
    BREAKER_RATIO, BUDGET_MIN_PER_SECOND, BUDGET_RATIO, ENDLESS, HEDGE_MIN_DELAY, HEDGE_RATIO, MAX_RETRIES,
    MIN_BACKOFF, MIN_CALLS, OPEN_MAX, OPEN_MIN, RAMP, UNLIMITED, WINDOW, doubling, percent,
};
use super::{Origin, Promise};
use crate::EdgePolicy;
use crate::breaker::{BreakerPolicy, Trip};
use crate::budget::BudgetPolicy;
use crate::hedge::HedgePolicy;
use crate::retry::{Backoff, RetryOn, RetryPolicy};

/// A number of an [`EdgePolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeField {
    /// How long one attempt may take.
    AttemptTimeout,
    /// How long the call may take.
    CallTimeout,
    /// When an answer breaches the SLA.
    SlowAfter,
    /// Attempts after the first.
    Retries,
    /// How long to wait before each.
    Backoff,
    /// What must be left for a retry.
    RetryNeeds,
    /// Which answers are worth another attempt.
    RetryOn,
    /// How much extra load retries may make.
    RetryBudget,
    /// What opens the breaker.
    BreakerTrip,
    /// How long calls count for the breaker.
    BreakerWindow,
    /// How long it stays open.
    BreakerOpen,
    /// How long traffic grows after it closed.
    BreakerRamp,
    /// Whether a second attempt is sent early.
    Hedge,
}

impl EdgeField {
    /// Its name in tables and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttemptTimeout => "attempt_timeout",
            Self::CallTimeout => "deadline",
            Self::SlowAfter => "slow_after",
            Self::Retries => "retries",
            Self::Backoff => "retry_backoff",
            Self::RetryNeeds => "retry_needs",
            Self::RetryOn => "retry_on",
            Self::RetryBudget => "retry_budget",
            Self::BreakerTrip => "breaker_trip",
            Self::BreakerWindow => "breaker_window",
            Self::BreakerOpen => "breaker_open",
            Self::BreakerRamp => "breaker_ramp",
            Self::Hedge => "hedge",
        }
    }
}

impl Field<EdgePolicy> for EdgeField {
    fn show(self, policy: &EdgePolicy) -> String {
        let EdgePolicy {
            retry,
            breaker,
            budget,
            ..
        } = policy;
        match self {
            Self::AttemptTimeout => format_duration(policy.attempt_timeout),
            Self::CallTimeout => format_duration(policy.call_timeout),
            Self::SlowAfter => format_duration(policy.slow_after),
            Self::Retries if retry.max_retries == UNLIMITED => "unlimited".to_owned(),
            Self::Retries => retry.max_retries.to_string(),
            Self::Backoff => show_backoff(&retry.backoff),
            Self::RetryNeeds => format!("{} left", format_duration(retry.min_left)),
            Self::RetryOn => show_retry_on(&retry.retry_on),
            Self::RetryBudget => format!(
                "{} of calls in {}, plus {}/s",
                percent(budget.ratio),
                format_duration(budget.window),
                budget.min_per_second
            ),
            Self::BreakerTrip => match &breaker.trip {
                Trip::FailureRatio { min_calls, ratio } => {
                    format!(
                        "more than {} of at least {min_calls} calls failed",
                        percent(*ratio)
                    )
                }
                Trip::ConsecutiveFailures(number) => format!("more than {number} failures in a row"),
                Trip::Never => "never".to_owned(),
            },
            Self::BreakerWindow => format_duration(breaker.window),
            Self::BreakerOpen => doubling(breaker.open_min, breaker.open_max),
            Self::BreakerRamp => format_duration(breaker.ramp),
            Self::Hedge => match &policy.hedge {
                None => "off".to_owned(),
                Some(hedge) => format!(
                    "after the p95, at least {}, for {} of calls",
                    format_duration(hedge.min_delay),
                    percent(hedge.ratio)
                ),
            },
        }
    }
}

fn show_backoff(backoff: &Backoff) -> String {
    match backoff {
        Backoff::FullJitter { base, cap } => {
            format!("random up to {}", doubling(*base, *cap))
        }
        Backoff::Constant(wait) => format!("{} each", format_duration(*wait)),
        Backoff::Exponential { initial, max } => {
            format!(
                "{} growing by half to {}",
                format_duration(*initial),
                format_duration(*max)
            )
        }
    }
}

fn show_retry_on(retry_on: &RetryOn) -> String {
    match retry_on {
        RetryOn::Failures => "failures, timeouts, broken connections".to_owned(),
        RetryOn::Codes { http, grpc } => {
            let mut parts = Vec::new();
            for (protocol, ranges) in [("HTTP", http), ("gRPC", grpc)] {
                let range = |(from, to): &(u16, u16)| {
                    if from == to {
                        from.to_string()
                    } else {
                        format!("{from}-{to}")
                    }
                };
                let ranges: Vec<String> = ranges.iter().map(range).collect();
                if !ranges.is_empty() {
                    parts.push(format!("{protocol} {}", ranges.join(",")));
                }
            }
            parts.push("broken connections".to_owned());
            parts.join(", ")
        }
    }
}

/// Derives what `caller` does about `target`. `caller` is absent for the ingress, which promises nothing. `hedge` says
/// where hedging is asked for.
///
/// The deadline of a call whose caller brings none is attempts x attempt timeout, and never more than what the caller
/// itself promises: an answer that comes later helps nobody.
pub fn derive_edge(
    target: &Promise,
    caller: Option<&Promise>,
    hedge: Option<Origin>,
) -> Derived<EdgePolicy, EdgeField> {
    use EdgeField as F;

    let p99 = format_duration(target.sla.latency.p99);
    let origin = target.latency_origin();
    let hedge_sum = if hedge.is_some() {
        "asked for"
    } else {
        "not asked for"
    };
    let policy = policy(target, hedge.is_some());
    let mut derived = Derived::new(policy).because(F::AttemptTimeout, target.longest_sum(), origin.clone());
    set_call_timeout(&mut derived, caller, &origin);
    derived
        .because(F::SlowAfter, "p99", origin.clone())
        .because(
            F::Retries,
            "at most 3 attempts, of calls that may be made twice",
            Origin::Default,
        )
        .because(
            F::Backoff,
            format!("max(10ms, p99 / 10) to p99 = {p99}"),
            origin.clone(),
        )
        .because(F::RetryNeeds, "one more p99", origin)
        .because(
            F::RetryOn,
            "never what was refused to protect the callee",
            Origin::Default,
        )
        .because(
            F::RetryBudget,
            "a callee that is down gets at most 1.2 times its load",
            Origin::Default,
        )
        .because(
            F::BreakerTrip,
            "failed is an error or an answer after slow_after",
            Origin::Default,
        )
        .because(F::BreakerWindow, "constant", Origin::Default)
        .because(
            F::BreakerOpen,
            "each time in a row twice as long",
            Origin::Default,
        )
        .because(F::BreakerRamp, "after one good probe", Origin::Default)
        .because(F::Hedge, hedge_sum, hedge.unwrap_or(Origin::Default))
}

/// The numbers themselves; the deadline is still missing.
fn policy(target: &Promise, hedge: bool) -> EdgePolicy {
    let p99 = target.sla.latency.p99;
    let base = MIN_BACKOFF.max(p99 / 10);
    EdgePolicy {
        attempt_timeout: target.longest(),
        call_timeout: Duration::ZERO,
        slow_after: p99,
        retry: RetryPolicy {
            max_retries: MAX_RETRIES,
            backoff: Backoff::FullJitter {
                base,
                cap: p99.max(base),
            },
            min_left: p99,
            retry_on: RetryOn::Failures,
        },
        budget: BudgetPolicy {
            ratio: BUDGET_RATIO,
            min_per_second: BUDGET_MIN_PER_SECOND,
            window: WINDOW,
        },
        breaker: BreakerPolicy {
            trip: Trip::FailureRatio {
                min_calls: MIN_CALLS,
                ratio: BREAKER_RATIO,
            },
            window: WINDOW,
            open_min: OPEN_MIN,
            open_max: OPEN_MAX,
            ramp: RAMP,
        },
        hedge: hedge.then_some(HedgePolicy {
            ratio: HEDGE_RATIO,
            min_delay: HEDGE_MIN_DELAY,
        }),
    }
}

/// Derives the deadline from the attempts, as they are now, and from what the caller promises.
pub(crate) fn set_call_timeout(
    derived: &mut Derived<EdgePolicy, EdgeField>,
    caller: Option<&Promise>,
    origin: &Origin,
) {
    let (all, sum) = all_attempts(&derived.policy);
    // Nobody waits longer than the caller itself may take, when it says how long that is.
    let cap = caller.filter(|caller| caller.latency_at.is_some());
    let (value, sum, origin) = match cap {
        Some(caller) if caller.longest() < all => {
            let sum = format!(
                "{sum}, at most what {} may take: {}",
                caller.service,
                caller.longest_sum()
            );
            (caller.longest(), sum, caller.latency_origin())
        }
        _ => (all, sum, origin.clone()),
    };
    derived.set(EdgeField::CallTimeout, sum, origin, |policy| {
        policy.call_timeout = value;
    });
}

/// The time that all attempts with the waits between them take, and how it is reached.
fn all_attempts(policy: &EdgePolicy) -> (Duration, String) {
    let EdgePolicy {
        attempt_timeout,
        retry,
        ..
    } = policy;
    if retry.max_retries == UNLIMITED {
        return (
            ENDLESS,
            format!("{} where retries have no end", format_duration(ENDLESS)),
        );
    }
    let attempts = retry.max_retries.saturating_add(1);
    // A jittered wait is on average far below its bound and is paid for by attempts that fail early; the waits that a
    // Dapr policy prescribes are not.
    let wait = match &retry.backoff {
        Backoff::FullJitter { .. } => Duration::ZERO,
        Backoff::Constant(wait) => *wait,
        Backoff::Exponential { max, .. } => *max,
    };
    let waits = wait.saturating_mul(retry.max_retries);
    let mut sum = format!("{attempts} attempts x {}", format_duration(*attempt_timeout));
    if !waits.is_zero() {
        let (number, wait) = (retry.max_retries, format_duration(wait));
        let plural = if number == 1 { "" } else { "s" };
        let _ = write!(sum, " + {number} wait{plural} x {wait}");
    }
    (
        attempt_timeout.saturating_mul(attempts).saturating_add(waits),
        sum,
    )
}
