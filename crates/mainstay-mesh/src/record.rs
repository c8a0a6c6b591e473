//! Keeping the books: what a call and each of its attempts hold, and what is learnt when they end.
//!
//! Both records settle when dropped, so that a caller who goes away at any point frees everything it held.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use mainstay_base::{Clock, Timestamp};
use mainstay_policy::Outcome;
use mainstay_policy::breaker::Verdict;
use mainstay_policy::ejection::Change;
use mainstay_policy::gate::Permit;
use tokio::task::AbortHandle;

use crate::edge::Edge;
use crate::judge::Status;
use crate::pool::Stream;
use crate::random::ThreadRng;
use crate::replica::Replica;
use crate::span::{Span, SpanOf};
use crate::{Body, CallError, Reason};

/// How the breaker let a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Like any other.
    Free,
    /// To see whether the callee is well again.
    Probe,
}

/// The record of one call.
#[derive(Debug)]
pub(crate) struct CallRecord {
    edge: Arc<Edge>,
    started: Timestamp,
    /// The breaker let it through and waits to be told how it ended.
    passage: Option<Passage>,
    /// The place behind the callee's door.
    permit: Option<Permit>,
    /// An answer came later than promised.
    slow: bool,
    span: Option<Box<Span>>,
    settled: bool,
}

impl CallRecord {
    pub(crate) fn new(edge: Arc<Edge>, span: Option<Box<Span>>, started: Timestamp) -> Self {
        Self {
            edge,
            started,
            passage: None,
            permit: None,
            slow: false,
            span,
            settled: false,
        }
    }

    /// The breaker has let the call through.
    pub(crate) fn passed(&mut self, passage: Passage) {
        self.passage = Some(passage);
    }

    /// The callee's door has let the call in.
    pub(crate) fn admitted(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Goes out of the door again.
    pub(crate) fn leave(&mut self) {
        self.permit = None;
    }

    /// The head of the final answer is here. The callee had the whole request when it was `asked`; while it is still
    /// being sent (`None`) nobody is slow.
    ///
    /// A probe of the breaker is decided now, since the answer may be a stream that lasts for hours.
    pub(crate) fn answered(
        &mut self,
        status: Status,
        outcome: Outcome,
        asked: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.edge.stats.duration.record(now.since(self.started));
        let latency = asked.map(|asked| now.since(asked.max(self.started)));
        self.slow = latency.is_some_and(|latency| latency > self.edge.config.policy.slow_after);
        if let Some(span) = &mut self.span {
            span.status = Some(status);
        }
        if self.passage == Some(Passage::Probe) {
            self.tell_breaker(outcome, now);
        }
    }

    /// The trailers told how it ended.
    pub(crate) fn ended_with(&mut self, status: Status) {
        if let Some(span) = &mut self.span {
            span.status = Some(status);
        }
    }

    /// A fallback stands in for the answer.
    pub(crate) fn fell_back(&mut self) {
        self.edge.stats.fallbacks.increment();
        let of = self.span.as_mut().map(|span| &mut span.of);
        if let Some(SpanOf::Call { fallback, .. }) = of {
            *fallback = true;
        }
    }

    /// There is no answer.
    pub(crate) fn failed(&mut self, error: &CallError, now: Timestamp) {
        self.edge.stats.duration.record(now.since(self.started));
        self.edge.stats.failed(error.reason);
        if let Some(span) = &mut self.span {
            span.reason = Some(error.reason);
        }
        self.settle(outcome_of(error.reason), now);
    }

    /// The call has ended.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Timestamp) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let outcome = match outcome {
            Outcome::Success if self.slow => Outcome::Slow,
            other => other,
        };
        self.permit = None;
        self.tell_breaker(outcome, now);
        self.edge.stats.ended(outcome);
        if let Some(span) = self.span.take() {
            self.edge.spans.end(span, &self.edge, outcome, now);
        }
    }

    fn tell_breaker(&mut self, outcome: Outcome, now: Timestamp) {
        if let Some(passage) = self.passage.take() {
            let verdict = match passage {
                Passage::Free => Verdict::Pass,
                Passage::Probe => Verdict::Probe,
            };
            let breaker = &self.edge.state.breaker;
            let transition = breaker.record(verdict, outcome, now, &mut ThreadRng);
            self.edge.breaker_changed(transition);
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.edge.clock.now();
            self.settle(Outcome::Cancelled, now);
        }
    }
}

/// What a missing answer says about the callee.
pub(crate) fn outcome_of(reason: Reason) -> Outcome {
    match reason {
        Reason::Shed => Outcome::Rejected,
        reason => match reason.fault() {
            mainstay_base::Fault::Callee => Outcome::Failure,
            mainstay_base::Fault::Caller | mainstay_base::Fault::Runtime => Outcome::Cancelled,
        },
    }
}

/// What an attempt holds of the connection it is on.
#[derive(Debug)]
pub(crate) enum Line {
    /// A whole connection; good for another request once the answer has ended.
    Http1(http1::SendRequest<Body>),
    /// One of the streams of a shared connection.
    Http2(#[expect(dead_code, reason = "held for what dropping it does")] Stream),
}

/// The rest of a request whose answer has begun; dropping it stops it.
#[derive(Debug)]
struct Uploading(AbortHandle);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The record of one attempt: it has a place at the replica.
#[derive(Debug)]
pub(crate) struct AttemptRecord {
    pub(crate) edge: Arc<Edge>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) started: Timestamp,
    /// Whether this attempt decides if the replica takes part again.
    probe: bool,
    /// From the moment the replica had the whole request to the head of its answer.
    latency: Option<Duration>,
    /// The replica said that it cannot serve now.
    is_unavailable: bool,
    line: Option<Line>,
    uploading: Option<Uploading>,
    /// Whose connections it uses.
    pub(crate) worker: usize,
    pub(crate) span: Option<Box<Span>>,
    settled: bool,
}

impl AttemptRecord {
    /// An attempt at `replica`, at which a place is taken.
    pub(crate) fn new(
        edge: Arc<Edge>,
        (replica, probe): (Arc<Replica>, bool),
        span: Option<Box<Span>>,
        worker: usize,
        now: Timestamp,
    ) -> Self {
        replica.open();
        edge.stats.attempts.increment();
        Self {
            edge,
            replica,
            started: now,
            probe,
            latency: None,
            is_unavailable: false,
            line: None,
            uploading: None,
            worker,
            span,
            settled: false,
        }
    }

    /// The request goes out on `line`.
    pub(crate) fn sent_on(&mut self, line: Line) {
        self.line = Some(line);
    }

    /// The answer has begun, and a task goes on with the request.
    pub(crate) fn uploads_on(&mut self, task: AbortHandle) {
        self.uploading = Some(Uploading(task));
    }

    /// The head of the answer is here; see [`CallRecord::answered`]. A probe is decided now as well.
    pub(crate) fn answered(
        &mut self,
        status: Status,
        outcome: Outcome,
        asked: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.latency = asked.map(|asked| now.since(asked.max(self.started)));
        self.is_unavailable = status.is_unavailable();
        if let (Outcome::Success, Some(latency)) = (outcome, self.latency) {
            self.edge.callee.answered_after(&self.replica, latency, now);
        }
        if let Some(span) = &mut self.span {
            span.status = Some(status);
        }
        if std::mem::take(&mut self.probe) {
            self.tell_ejection(outcome, now);
        }
    }

    /// The trailers told how it ended.
    pub(crate) fn ended_with(&mut self, status: Status) {
        if let Some(span) = &mut self.span {
            span.status = Some(status);
        }
    }

    /// There is no answer.
    pub(crate) fn failed(&mut self, reason: Reason, now: Timestamp) {
        if let Some(span) = &mut self.span {
            span.reason = Some(reason);
        }
        if reason == Reason::AttemptTimeout {
            // It takes at least this long. A quick failure says nothing about how long an answer takes.
            self.replica.answered_after(now.since(self.started), now);
        }
        self.settle(outcome_of(reason), now);
    }

    /// The answer has ended, so the connection is good for another request.
    pub(crate) fn reuse_line(&mut self, now: Timestamp) {
        if let Some(Line::Http1(sender)) = self.line.take() {
            self.replica.pool.put(self.worker, sender, now);
        }
    }

    /// What is learnt from the attempt is known; its place at the replica is free. A stream stays open after that, for
    /// as long as the record lives.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Timestamp) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let elapsed = now.since(self.started);
        let latency = self.latency.unwrap_or(elapsed);
        let learnt = match outcome {
            // How long an answer took that came while the request was still being sent says nothing.
            Outcome::Success if self.latency.is_none() => Outcome::Cancelled,
            // A failure to everybody else, but here it is a request for fewer calls: many an app says so when one that it
            // calls sheds.
            Outcome::Failure if self.is_unavailable => Outcome::Rejected,
            outcome => outcome,
        };
        let callee = &self.edge.callee;
        if self.replica.limiter.finish(latency, learnt, now) {
            callee.update_capacity(now);
        }
        self.tell_ejection(outcome, now);
        if let Some(span) = self.span.take() {
            self.edge.spans.end(span, &self.edge, outcome, now);
        }
    }

    fn tell_ejection(&self, outcome: Outcome, now: Timestamp) {
        let callee = &self.edge.callee;
        let ejection = &self.replica.ejection;
        let Some(change) = ejection.record(outcome, || callee.may_eject(), now, &mut ThreadRng) else {
            return;
        };
        callee.count_ejected(now);
        callee.update_capacity(now);
        match change {
            Change::Ejected { duration, reason } => {
                callee.state.stats.ejections.increment();
                tracing::info!(replica = %self.replica.id, ?duration, reason, "replica left out");
            }
            Change::Returned => tracing::info!(replica = %self.replica.id, "replica takes part again"),
        }
    }
}

impl Drop for AttemptRecord {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.edge.clock.now();
            self.settle(Outcome::Cancelled, now);
        }
        self.replica.close();
    }
}
