//! One policy of a Resiliency resource as settings of a [`Overrides`]. What a policy leaves out has Dapr's default.

use std::sync::Arc;
use std::time::Duration;

use mainstay_policy::breaker::Trip;
use mainstay_policy::derive::UNLIMITED;
use mainstay_policy::overrides::{Overrides, Setting};
use mainstay_policy::retry::{Backoff, RetryOn};

use super::file::{CircuitBreaker, Growth, Retry};
use super::trip;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::document::Document;

/// The first wait of an exponential policy.
const INITIAL: Duration = Duration::from_millis(500);
/// The longest wait of an exponential policy that gives none.
const MAX_INTERVAL: Duration = Duration::from_mins(1);
/// The wait of a constant policy that gives none.
const DURATION: Duration = Duration::from_secs(5);
/// How long a breaker that does not say stays open.
const OPEN: Duration = Duration::from_mins(1);
/// What opens a breaker that does not say.
const TRIP: Trip = Trip::ConsecutiveFailures(5);

/// Reads policies of one document.
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// A setting that stands at `path` when it is `written`, and otherwise follows from the policy at its beginning.
    fn setting<T>(&self, path: [&str; 3], value: T, written: bool) -> Setting<T> {
        let [section, name, key] = path;
        let (place, sum) = if written {
            let place = self.document.find(&["spec", "policies", section, name, key]);
            (place, format!("{section}.{name}.{key}"))
        } else {
            let place = self.document.find(&["spec", "policies", section, name]);
            (place, format!("{section}.{name}, Dapr's default for {key}"))
        };
        Setting {
            value,
            sum,
            place: Arc::from(place.short()),
        }
    }

    pub(super) fn timeout(&mut self, name: &str, timeout: Duration) -> Overrides {
        let path = ["spec", "policies", "timeouts", name];
        if timeout.is_zero() {
            let message =
                format!("the timeout `{name}` is 0: Dapr waits without end, Mainstay always ends a wait");
            self.unsupported(&path, message, "give a long timeout, like 10m");
            return Overrides::default();
        }
        let place = self.document.find(&path);
        Overrides {
            timeout: Some(Setting {
                value: timeout,
                sum: format!("timeouts.{name}"),
                place: Arc::from(place.short()),
            }),
            ..Overrides::default()
        }
    }

    pub(super) fn retry(&self, name: &str, retry: &Retry) -> Overrides {
        let growth = retry.policy.unwrap_or_default();
        let (backoff, key, written) = match growth {
            Growth::Constant => {
                let wait = retry.duration.as_ref().map_or(DURATION, |time| time.0);
                (Backoff::Constant(wait), "duration", retry.duration.is_some())
            }
            Growth::Exponential => {
                let max = retry.max_interval.as_ref().map_or(MAX_INTERVAL, |time| time.0);
                let initial = INITIAL.min(max);
                (
                    Backoff::Exponential { initial, max },
                    "maxInterval",
                    retry.max_interval.is_some(),
                )
            }
        };
        let retries = retry
            .max_retries
            .map_or(UNLIMITED, |retries| u32::try_from(retries).unwrap_or(UNLIMITED));
        let retry_on = retry.matching.as_ref().map(|matching| RetryOn::Codes {
            http: matching
                .http
                .as_ref()
                .map(|codes| codes.0.clone())
                .unwrap_or_default(),
            grpc: matching
                .grpc
                .as_ref()
                .map(|codes| codes.0.clone())
                .unwrap_or_default(),
        });
        Overrides {
            max_retries: Some(self.setting(
                ["retries", name, "maxRetries"],
                retries,
                retry.max_retries.is_some(),
            )),
            backoff: Some(self.setting(["retries", name, key], backoff, written)),
            retry_on: retry_on.map(|codes| self.setting(["retries", name, "matching"], codes, true)),
            ..Overrides::default()
        }
    }

    pub(super) fn circuit_breaker(&mut self, name: &str, breaker: &CircuitBreaker) -> Overrides {
        let path = |key| ["spec", "policies", "circuitBreakers", name, key];
        if breaker.max_requests.is_some_and(|requests| requests != 1) {
            let place = self.document.find(&path("maxRequests"));
            let message = "`maxRequests` has no effect: a half-open breaker lets one probe through, then a growing share";
            self.diagnostics
                .push(Diagnostic::error(Code::NOT_USED, place, message).warning());
        }
        let trip = match breaker.trip.as_deref().map(trip::parse) {
            None => TRIP,
            Some(Ok(trip)) => trip,
            Some(Err(problem)) => {
                self.unsupported(&path("trip"), problem, trip::SUPPORTED);
                return Overrides::default();
            }
        };
        let open = breaker.timeout.as_ref().map_or(OPEN, |time| time.0);
        if open.is_zero() {
            let message = format!("the breaker `{name}` would stay open for no time");
            self.unsupported(&path("timeout"), message, "give a time above zero");
            return Overrides::default();
        }
        // Dapr counts without end when no interval is given; Mainstay keeps its window then, because counts that are
        // never forgotten make a breaker deaf after a good day.
        let interval = breaker
            .interval
            .as_ref()
            .map(|time| time.0)
            .filter(|time| !time.is_zero());
        Overrides {
            trip: Some(self.setting(["circuitBreakers", name, "trip"], trip, breaker.trip.is_some())),
            window: interval.map(|time| self.setting(["circuitBreakers", name, "interval"], time, true)),
            open: Some(self.setting(
                ["circuitBreakers", name, "timeout"],
                open,
                breaker.timeout.is_some(),
            )),
            ..Overrides::default()
        }
    }

    fn unsupported(&mut self, path: &[&str], message: String, help: &str) {
        let place = self.document.find(path);
        self.diagnostics
            .push(Diagnostic::error(Code::UNSUPPORTED, place, message).help(help));
    }
}
