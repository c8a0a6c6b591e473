//! What a Dapr Resiliency resource changes about an edge, line by line.

use std::sync::Arc;
use std::time::Duration;

use crate::EdgePolicy;
use crate::breaker::Trip;
use crate::derive::{Derived, EdgeField, Origin, Promise, set_call_timeout};
use crate::retry::{Backoff, RetryOn};

/// A value of a resource, with where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// What it is called there: `retries.slow.maxRetries`, or that Dapr's default holds.
    pub sum: String,
    /// Where it is written: `resources/resiliency.yaml:8`.
    pub place: Arc<str>,
}

impl<T> Setting<T> {
    fn origin(&self) -> Origin {
        Origin::Resiliency {
            place: Arc::clone(&self.place),
        }
    }
}

/// What changes; what is absent stays as derived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `timeout`: how long one attempt may take.
    pub timeout: Option<Setting<Duration>>,
    /// `retry`: attempts after the first; [`UNLIMITED`](crate::derive::UNLIMITED) for no end.
    pub max_retries: Option<Setting<u32>>,
    /// `retry`: how long to wait before each.
    pub backoff: Option<Setting<Backoff>>,
    /// `retry.matching`: which answers are worth another attempt.
    pub retry_on: Option<Setting<RetryOn>>,
    /// `circuitBreaker.trip`.
    pub trip: Option<Setting<Trip>>,
    /// `circuitBreaker.interval`: how long calls count.
    pub window: Option<Setting<Duration>>,
    /// `circuitBreaker.timeout`: how long it stays open, each time.
    pub open: Option<Setting<Duration>>,
}

impl Overrides {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the lines that are set, and the deadline that follows from them. `caller` is as in
    /// [`derive_edge`](crate::derive::derive_edge).
    pub fn apply(&self, edge: &mut Derived<EdgePolicy, EdgeField>, caller: Option<&Promise>) {
        change(
            edge,
            EdgeField::AttemptTimeout,
            self.timeout.as_ref(),
            |policy, value| {
                policy.attempt_timeout = value;
            },
        );
        change(
            edge,
            EdgeField::Retries,
            self.max_retries.as_ref(),
            |policy, value| {
                policy.retry.max_retries = value;
            },
        );
        change(
            edge,
            EdgeField::Backoff,
            self.backoff.as_ref(),
            |policy, value| {
                policy.retry.backoff = value;
            },
        );
        change(
            edge,
            EdgeField::RetryOn,
            self.retry_on.as_ref(),
            |policy, value| {
                policy.retry.retry_on = value;
            },
        );
        change(
            edge,
            EdgeField::BreakerTrip,
            self.trip.as_ref(),
            |policy, value| {
                policy.breaker.trip = value;
            },
        );
        change(
            edge,
            EdgeField::BreakerWindow,
            self.window.as_ref(),
            |policy, value| {
                policy.breaker.window = value;
            },
        );
        change(
            edge,
            EdgeField::BreakerOpen,
            self.open.as_ref(),
            |policy, value| {
                policy.breaker.open_min = value;
                policy.breaker.open_max = value;
            },
        );
        self.apply_to_times(edge, caller);
    }

    /// What follows from other timeouts and retries.
    fn apply_to_times(&self, edge: &mut Derived<EdgePolicy, EdgeField>, caller: Option<&Promise>) {
        // More time than an attempt may take is never needed for one.
        if let Some(timeout) = self
            .timeout
            .as_ref()
            .filter(|timeout| timeout.value < edge.policy.retry.min_left)
        {
            let sum = "no more than an attempt may take".to_owned();
            edge.set(EdgeField::RetryNeeds, sum, timeout.origin(), |policy| {
                policy.retry.min_left = timeout.value;
            });
        }
        let origins = [
            self.timeout.as_ref().map(Setting::origin),
            self.max_retries.as_ref().map(Setting::origin),
            self.backoff.as_ref().map(Setting::origin),
        ];
        if let Some(origin) = origins.into_iter().flatten().next() {
            set_call_timeout(edge, caller, &origin);
        }
    }
}

/// Changes one line when there is a setting for it.
fn change<T: Clone>(
    edge: &mut Derived<EdgePolicy, EdgeField>,
    field: EdgeField,
    setting: Option<&Setting<T>>,
    change: impl FnOnce(&mut EdgePolicy, T),
) {
    if let Some(setting) = setting {
        edge.set(field, setting.sum.clone(), setting.origin(), |policy| {
            change(policy, setting.value.clone());
        });
    }
}
