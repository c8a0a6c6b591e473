//! A call under way: what it has tried, and what it does next.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Retryability, Timestamp};
use mainstay_policy::Outcome;
use mainstay_policy::breaker::Verdict;
use mainstay_policy::retry::{Decision, Ended};

use crate::call::Answered;
use crate::choose::Tried;
use crate::deadline::Deadlines;
use crate::dial::Intent;
use crate::edge::Edge;
use crate::exchange::{Failure, Terms};
use crate::outgoing::Outgoing;
use crate::random::ThreadRng;
use crate::record::Passage;
use crate::{CallError, Fallback, Reason};

/// How long a call waits for a replica while there is none: a restart or a rolling update should fail nobody, and a
/// call that waits longer than this is better told.
pub(crate) const REPLICA_WAIT: Duration = Duration::from_secs(1);

/// How often a call moves to another connection because one goes away.
const MAX_MOVED: u32 = 3;

/// A call under way.
pub(crate) struct Flow {
    pub(crate) edge: Arc<Edge>,
    pub(crate) outgoing: Outgoing,
    /// The index of the only replica that is meant, if one is.
    pub(crate) only: Option<u32>,
    pub(crate) started: Timestamp,
    /// The clock when it was last read. It need not be read again before something was waited for.
    pub(crate) now: Timestamp,
    pub(crate) deadlines: Deadlines,
    pub(crate) tried: Tried,
    /// Attempts that count against the retry policy.
    pub(crate) attempts: u32,
    /// All attempts.
    pub(crate) number: u32,
    pub(crate) full: u32,
    /// How often it moved to another connection because one went away.
    moved: u32,
}

impl Flow {
    /// A call on `edge` that begins now.
    pub(crate) fn new(edge: Arc<Edge>, outgoing: Outgoing, now: Timestamp) -> Self {
        Self {
            deadlines: Deadlines::new(outgoing.brought, edge.config.policy.call_timeout, now),
            started: now,
            now,
            edge,
            outgoing,
            only: None,
            tried: Tried::default(),
            attempts: 0,
            number: 0,
            full: 0,
            moved: 0,
        }
    }

    pub(crate) fn ask_breaker(&self) -> Result<Passage, CallError> {
        let (verdict, transition) = self.edge.state.breaker.ask(self.now, &mut ThreadRng);
        self.edge.breaker_changed(transition);
        match verdict {
            Verdict::Pass => Ok(Passage::Free),
            Verdict::Probe => Ok(Passage::Probe),
            Verdict::Refuse { retry_after } => Err(self.error(Reason::BreakerOpen).retry_after(retry_after)),
        }
    }

    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            intent: self.outgoing.intent,
            keep_host: self.outgoing.keeps_host(),
            protocol: self.outgoing.protocol,
            deadlines: self.deadlines,
            attempt_timeout: self.edge.config.policy.attempt_timeout,
            upload: self.outgoing.upload(),
        }
    }

    /// How long to wait for a replica while there is none. A caller with a fallback is better served with that than with
    /// an answer that comes later than promised.
    pub(crate) fn replica_wait(&self) -> Duration {
        match self.edge.config.fallback {
            Some(_) => REPLICA_WAIT.min(self.edge.config.policy.slow_after),
            None => REPLICA_WAIT,
        }
    }

    /// Whether a copy of the request must be kept although its sending begins. A request that was certainly not acted
    /// on may be sent again whatever it is, but only HTTP/2 can tell after it was sent.
    pub(crate) fn may_need_request_again(&self) -> bool {
        let config = &self.edge.config;
        let may_retry = self.attempts <= config.policy.retry.max_retries
            && (self.outgoing.idempotent || self.outgoing.intent == Intent::Http2);
        may_retry || matches!(config.fallback, Some(Fallback::App(_)))
    }

    /// After an attempt: how long to wait before another one, or the result.
    pub(crate) fn decide(
        &mut self,
        sent: Result<Answered, Failure>,
    ) -> ControlFlow<Result<Answered, CallError>, Duration> {
        match sent {
            Ok(mut answered) => match self.wait_after_answer(&answered) {
                Some(wait) => {
                    answered.attempt.settle(Outcome::Failure, self.now);
                    ControlFlow::Continue(wait)
                }
                None => ControlFlow::Break(Ok(answered)),
            },
            Err(failure) => match self.wait_after_failure(&failure) {
                Some(wait) => ControlFlow::Continue(wait),
                None => ControlFlow::Break(Err(self.failed(&failure))),
            },
        }
    }

    /// How long to wait before another attempt after an answer; `None` when the answer is passed on.
    fn wait_after_answer(&self, answered: &Answered) -> Option<Duration> {
        let retry_on = &self.edge.config.policy.retry.retry_on;
        if answered.outcome == Outcome::Rejected || !answered.status.is_retried(retry_on) {
            return None;
        }
        self.wait(Retryability::IfIdempotent)
    }

    /// How long to wait before another attempt after a failure; `None` when there is none.
    fn wait_after_failure(&mut self, failure: &Failure) -> Option<Duration> {
        if failure.reason.retryability() == Retryability::Never {
            return None;
        }
        let another = self.outgoing.is_repeatable() && self.edge.callee.has_untried(&self.tried, self.now);
        if failure.reason == Reason::ConnectFailed && another {
            // Nobody was burdened: the next replica is asked at once, and it counts for nothing.
            self.attempts -= 1;
            return Some(Duration::ZERO);
        }
        if failure.goes_away && self.outgoing.is_repeatable() && self.moved < MAX_MOVED {
            // As above; only the connection was old.
            self.moved += 1;
            self.attempts -= 1;
            return Some(Duration::ZERO);
        }
        let retryability = if failure.unprocessed {
            Retryability::Always
        } else {
            failure.reason.retryability()
        };
        self.wait(retryability)
    }

    fn wait(&self, retryability: Retryability) -> Option<Duration> {
        let ended = Ended {
            outcome: Outcome::Failure,
            retryability,
            idempotent: self.outgoing.idempotent,
            attempts: self.attempts,
            left: self.deadlines.effective.left(self.now),
        };
        let decision = self.edge.config.policy.retry.decide(ended, &mut ThreadRng);
        let Decision::Retry { wait } = decision else {
            return None;
        };
        // Charged now and not when the wait is over, or waiting retries would overshoot the budget.
        if !self.outgoing.is_repeatable() || !self.edge.state.budget.withdraw(self.now) {
            return None;
        }
        self.edge.stats.retries.increment();
        Some(wait)
    }

    pub(crate) fn error(&self, reason: Reason) -> CallError {
        CallError::on_edge(&self.edge.config, reason, None)
    }

    fn failed(&self, failure: &Failure) -> CallError {
        let cause = failure
            .cause
            .as_ref()
            .map(|cause| cause as &dyn std::fmt::Display);
        CallError::on_edge(&self.edge.config, failure.reason, cause)
    }
}
