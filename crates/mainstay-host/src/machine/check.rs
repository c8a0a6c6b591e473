//! One probe over time: when it is due, and what its results mean.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::{Probe, ProbeAction};

/// First and shortest time between tries of an eager probe.
const EAGER_PERIOD: Duration = Duration::from_millis(50);

/// Which of the three probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    TurnedGood,
    TurnedBad,
}

/// One try of a probe, to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) kind: ProbeKind,
    pub(crate) action: ProbeAction,
    pub(crate) timeout: Duration,
}

/// A probe and its record.
#[derive(Debug)]
pub(super) struct Check {
    kind: ProbeKind,
    probe: Probe,
    due: Timestamp,
    /// A try is under way.
    busy: bool,
    /// Time to the next try, while failing tries have no consequence: grows from [`EAGER_PERIOD`] to the period.
    eager: Option<Duration>,
    successes: u32,
    failures: u32,
    good: Option<bool>,
    last_failure: Option<String>,
}

impl Check {
    /// A probe that is due after its initial delay from `start`, but not before `now`. An `eager` one tries more often
    /// until its first success.
    pub(super) fn new(kind: ProbeKind, probe: &Probe, start: Timestamp, now: Timestamp, eager: bool) -> Self {
        Self {
            kind,
            due: (start + probe.initial_delay).max(now),
            busy: false,
            eager: eager.then_some(EAGER_PERIOD),
            successes: 0,
            failures: 0,
            good: None,
            last_failure: None,
            probe: probe.clone(),
        }
    }

    /// When the next try is due; none while one is under way.
    pub(super) fn due(&self) -> Option<Timestamp> {
        (!self.busy).then_some(self.due)
    }

    /// Begins a try if one is due.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Try> {
        if self.busy || self.due > now {
            return None;
        }
        self.busy = true;
        let period = match &mut self.eager {
            Some(eager) => {
                let period = (*eager).min(self.probe.period);
                *eager = eager.saturating_mul(2);
                period
            }
            None => self.probe.period,
        };
        // A period of zero must not become a busy loop.
        self.due = now + period.max(Duration::from_millis(1));
        Some(Try {
            kind: self.kind,
            action: self.probe.action.clone(),
            timeout: self.probe.timeout,
        })
    }

    /// Takes the result of a try. Only a crossed threshold is a change.
    pub(super) fn finish(&mut self, result: Result<(), String>) -> Option<Change> {
        self.busy = false;
        match result {
            Ok(()) => {
                self.eager = None;
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                let turned = self.successes >= self.probe.success_threshold.max(1) && self.good != Some(true);
                turned.then(|| {
                    self.good = Some(true);
                    Change::TurnedGood
                })
            }
            Err(reason) => {
                self.last_failure = Some(reason);
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                let turned = self.failures >= self.probe.failure_threshold.max(1) && self.good != Some(false);
                turned.then(|| {
                    self.good = Some(false);
                    Change::TurnedBad
                })
            }
        }
    }

    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    pub(super) fn action(&self) -> &ProbeAction {
        &self.probe.action
    }
}
