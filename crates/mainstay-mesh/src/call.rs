//! The call path: one file that reads top to bottom as the life of a call.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use mainstay_base::{Clock, Retryability, Timestamp};
use mainstay_policy::Outcome;
use mainstay_policy::breaker::Verdict;
use mainstay_policy::retry::{Decision, Ended};
use tokio::time::timeout_at;

use crate::answer::Answer;
use crate::choose::{Choice, Tried};
use crate::deadline::Deadlines;
use crate::dial::Intent;
use crate::edge::Edge;
use crate::exchange::{Failure, Terms};
use crate::judge::{self, Status};
use crate::mesh::Inner;
use crate::outgoing::Outgoing;
use crate::random::ThreadRng;
use crate::record::{AttemptRecord, CallRecord, Passage, outcome_of};
use crate::replica::Replica;
use crate::{Body, CallError, Caller, Fallback, Mesh, Reason, fallback, headers, upgrade};

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Who is called.
    pub target: Target,
    /// What the callee receives: the path is the method's, `dapr-app-id` and the API token are already gone. Everything
    /// that every hop does (hop-by-hop headers, forwarding headers, trace, deadline, app token) is the mesh's work.
    pub request: Request<Body>,
    /// How outcomes are read.
    pub protocol: Protocol,
    /// Whether the caller can read a fixed answer of a fallback. It is made for HTTP; a gRPC client cannot.
    pub takes_fixed_answer: bool,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An app or an external service of the manifest, by name.
    Name(String),
    /// An absolute URL (Dapr's `http(s)://host` form); must lie under an external service's URL.
    Url(String),
}

/// How outcomes are read and errors of the mesh are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By status code.
    Http,
    /// By the `grpc-status` trailer.
    Grpc,
}

/// How long a call waits for a replica while there is none: a restart or a rolling update should fail nobody, and a
/// call that waits longer than this is better told.
const REPLICA_WAIT: Duration = Duration::from_secs(1);

/// How often a call that came in finds every replica full before it is turned away: it happens only when replicas have
/// just gone.
const MAX_FULL: u32 = 3;

/// A call under way.
pub(crate) struct Flow {
    pub(crate) edge: Arc<Edge>,
    pub(crate) outgoing: Outgoing,
    started: Timestamp,
    /// The clock when it was last read. It need not be read again before something was waited for.
    now: Timestamp,
    pub(crate) deadlines: Deadlines,
    pub(crate) tried: Tried,
    /// Attempts that count against the retry policy.
    attempts: u32,
    /// All attempts.
    pub(crate) number: u32,
    full: u32,
}

/// An attempt with the head of an answer.
pub(crate) struct Answered {
    response: Response<Incoming>,
    pub(crate) attempt: AttemptRecord,
    status: Status,
    pub(crate) outcome: Outcome,
    /// When the callee had the whole request; `None` while it is still being sent.
    asked: Option<Timestamp>,
}

/// What becomes of a call that has a result.
enum Ending<F> {
    Ended(Result<Response<Body>, CallError>),
    FallsBack(Pin<Box<F>>),
}

impl Mesh {
    /// Makes one call: deadline, admission, attempts, fallback, record.
    ///
    /// An answer of the callee is `Ok` whatever its status. On an edge with a fallback, the fallback stands in for a
    /// failed answer as well as for a missing one; it is `Ok` and carries the header `mainstay-fallback`. Dropping the
    /// future or the answer's body ends the call and frees what it holds.
    ///
    /// # Errors
    /// When there is no answer: the error says what happened, whose fault it is and when to come back.
    pub fn call(&self, call: Call) -> impl Future<Output = Result<Response<Body>, CallError>> + Send + use<> {
        let inner = self.inner.clone();
        // Begun here and not in the future, so that the future does not carry the request.
        let mut begun = inner.begin(call);
        async move {
            match &mut begun {
                Ok(flow) => inner.make(flow, true).await,
                Err(error) => Err(error.clone()),
            }
        }
    }
}

impl Inner {
    /// Identifies the caller and resolves the target: an edge that the topology allows.
    fn begin(&self, call: Call) -> Result<Box<Flow>, CallError> {
        let (edge, path) = match &call.target {
            Target::Name(name) => (self.directory.resolve(&call.caller.state, name)?, None),
            Target::Url(url) => {
                let external = self.directory.external_at(url);
                let (name, path) = external.ok_or_else(|| CallError::unknown_target(url))?;
                let edge = self.directory.resolve(&call.caller.state, name.as_str())?;
                (edge, Some(path))
            }
        };
        let now = self.clock.now();
        let outgoing = Outgoing::new(call, &edge, path.as_deref(), now)?;
        // Boxed, so that the future of the call, which its server moves about, stays small.
        Ok(Box::new(Flow::new(edge, outgoing, now)))
    }

    /// Makes a call and keeps its books.
    pub(crate) async fn make(
        &self,
        flow: &mut Flow,
        may_fall_back: bool,
    ) -> Result<Response<Body>, CallError> {
        let span = flow.outgoing.begin_span(&flow.edge, flow.started);
        let mut record = CallRecord::new(flow.edge.clone(), span, flow.started);
        let result = self.run(flow, &mut record).await;
        match self.end(flow, record, result, may_fall_back) {
            Ending::Ended(result) => result,
            Ending::FallsBack(answering) => answering.await,
        }
    }

    /// Ends a call with its `result`, or lets something else stand in for an answer that is missing or bad.
    fn end<'a>(
        &'a self,
        flow: &'a mut Flow,
        record: CallRecord,
        result: Result<Answered, CallError>,
        may_fall_back: bool,
    ) -> Ending<impl Future<Output = Result<Response<Body>, CallError>> + Send + 'a> {
        let fails = match &result {
            Ok(answered) => matches!(answered.outcome, Outcome::Failure | Outcome::Rejected),
            Err(error) => outcome_of(error.reason) != Outcome::Cancelled,
        };
        if fails && may_fall_back && flow.edge.config.fallback.is_some() {
            // Boxed, because it is rare and its size would be carried by every call. So are all waits below.
            Ending::FallsBack(Box::pin(self.fall_back(flow, record, result)))
        } else {
            Ending::Ended(self.record(flow, record, result))
        }
    }

    /// Gives the fallback's answer for a `result` that is none, or the result if there is no such answer.
    async fn fall_back(
        &self,
        flow: &mut Flow,
        mut record: CallRecord,
        result: Result<Answered, CallError>,
    ) -> Result<Response<Body>, CallError> {
        record.leave();
        let Some(answer) = fallback::answer(self, flow).await else {
            return self.record(flow, record, result);
        };
        record.fell_back();
        self.settle(result, record);
        Ok(answer)
    }

    /// Records how a call ended: an error now, an answer when its body ends.
    fn record(
        &self,
        flow: &mut Flow,
        mut record: CallRecord,
        result: Result<Answered, CallError>,
    ) -> Result<Response<Body>, CallError> {
        match result {
            Ok(answered) => Ok(self.pass_on(answered, flow, record)),
            Err(error) => {
                record.failed(&error, self.clock.now());
                Err(error)
            }
        }
    }

    /// Everything up to the head of the final answer.
    async fn run(&self, flow: &mut Flow, record: &mut CallRecord) -> Result<Answered, CallError> {
        // Deadline: expired work is refused.
        if flow.deadlines.effective.is_expired(flow.now) {
            return Err(flow.error(Reason::Expired));
        }
        // Breaker: a callee that fails is left alone for a while.
        record.passed(flow.ask_breaker()?);
        // Admit or shed: no more calls than the replicas can take, a short queue, the important ones first.
        self.admit(flow, record).await?;
        flow.edge.state.budget.deposit(flow.now);
        loop {
            // Pick a replica that was not tried yet and has a place for one more call.
            let attempt = self.pick(flow, record).await?;
            // Send with the attempt timeout and wait for the head of the answer.
            let sent = self.send(flow, attempt).await;
            flow.now = self.clock.now();
            let wait = match flow.decide(sent) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(wait) => wait,
            };
            // Try again: the policy, the budget and the deadline allow it.
            if wait > Duration::ZERO {
                Box::pin(tokio::time::sleep(wait)).await;
                flow.now = self.clock.now();
            }
        }
    }

    /// Goes through the door of the callee, or is turned away.
    async fn admit(&self, flow: &mut Flow, record: &mut CallRecord) -> Result<(), CallError> {
        let gate = &flow.edge.callee.gate;
        if let Some(permit) = gate.try_enter() {
            record.admitted(permit);
            return Ok(());
        }
        let until = self.clock.instant(flow.deadlines.effective.moment());
        let entering = timeout_at(until.into(), gate.enter(flow.outgoing.priority));
        let entered = Box::pin(entering).await;
        flow.now = self.clock.now();
        match entered {
            Ok(Ok(permit)) => {
                record.admitted(permit);
                Ok(())
            }
            Ok(Err(refusal)) => {
                flow.edge
                    .callee
                    .state
                    .stats
                    .turned_away(flow.outgoing.priority, refusal);
                Err(flow.error(Reason::Shed).retry_after(refusal.retry_after()))
            }
            Err(_) => Err(flow.error(Reason::DeadlineExceeded)),
        }
    }

    /// Begins an attempt at the best replica. While there is none, waits for one.
    async fn pick(&self, flow: &mut Flow, record: &mut CallRecord) -> Result<AttemptRecord, CallError> {
        loop {
            match flow.edge.callee.choose(&flow.tried, flow.now) {
                Choice::Chosen { replica, probe } => {
                    flow.attempts += 1;
                    return Ok(self.start(flow, (replica, probe), flow.now));
                }
                Choice::Full if flow.full == MAX_FULL => return Err(flow.error(Reason::Shed)),
                Choice::Full => {
                    flow.full += 1;
                    record.leave();
                    self.admit(flow, record).await?;
                }
                Choice::None => {
                    let until = flow.now + flow.replica_wait();
                    let until = self.clock.instant(flow.deadlines.effective.moment().min(until));
                    let coming = timeout_at(until.into(), flow.edge.callee.has_replica());
                    if Box::pin(coming).await.is_err() {
                        return Err(flow.error(Reason::NoReplica).retry_after(REPLICA_WAIT));
                    }
                    flow.now = self.clock.now();
                }
            }
        }
    }

    /// Begins an attempt at a replica at which a place is taken.
    pub(crate) fn start(
        &self,
        flow: &mut Flow,
        (replica, probe): (Arc<Replica>, bool),
        now: Timestamp,
    ) -> AttemptRecord {
        flow.tried.add(&replica);
        flow.number += 1;
        let call = flow.outgoing.trace;
        let span = call.and_then(|call| {
            let spans = &flow.edge.spans;
            spans.begin_attempt(call, flow.number, replica.clone(), now)
        });
        let worker = self.workers.current();
        AttemptRecord::new(flow.edge.clone(), (replica, probe), span, worker, now)
    }

    /// Makes one attempt, or two of them where the edge hedges.
    async fn send(&self, flow: &mut Flow, attempt: AttemptRecord) -> Result<Answered, Failure> {
        if flow.edge.state.hedge.is_some() && flow.outgoing.is_hedgeable() {
            // Boxed, so that calls without hedging do not carry its size.
            return Box::pin(self.send_hedged(flow, attempt)).await;
        }
        let keep = flow.may_need_request_again();
        let mut request = Some(flow.outgoing.request(&flow.edge, keep, self.clock)?);
        let result = self.perform(flow.terms(), attempt, &mut request).await;
        if let Some(unsent) = request {
            flow.outgoing.restore(unsent);
        }
        result
    }

    /// Sends one request and waits for the head of its answer. A request of which nothing was sent is there again
    /// afterwards.
    pub(crate) fn perform<'a>(
        &'a self,
        terms: Terms<'a>,
        mut attempt: AttemptRecord,
        request: &'a mut Option<Request<Body>>,
    ) -> impl Future<Output = Result<Answered, Failure>> + Send + 'a {
        if let Some(request) = request {
            let headers = request.headers_mut();
            terms
                .deadlines
                .write(headers, terms.attempt_timeout, attempt.started);
            if let Some(span) = &attempt.span {
                headers.insert(headers::TRACEPARENT, span.traceparent());
            }
        }
        // A block and not an `async fn`, which would hold its arguments twice.
        async move {
            match self.exchange(&mut attempt, request, &terms).await {
                Ok(response) => Ok(Answered::new(response, attempt, &terms)),
                Err(failure) => {
                    attempt.failed(failure.reason, self.clock.now());
                    Err(failure)
                }
            }
        }
    }

    /// Passes the answer on; its end ends the call.
    fn pass_on(&self, answered: Answered, flow: &mut Flow, mut record: CallRecord) -> Response<Body> {
        let Answered {
            mut response,
            mut attempt,
            status,
            outcome,
            asked,
        } = answered;
        let (outgoing, now) = (&mut flow.outgoing, flow.now);
        outgoing.forget();
        attempt.answered(status, outcome, asked, now);
        record.answered(status, outcome, asked, now);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upgrade = outgoing.take_upgrade();
            return upgrade::tie(self, response, upgrade, (record, attempt), now);
        }
        headers::strip_hop_by_hop(response.headers_mut());
        // The version is this hop's own: a callee of HTTP/1.0 must not cost the caller its connection.
        *response.version_mut() = Version::HTTP_11;
        let is_stream = judge::is_stream(response.headers());
        response.map(|incoming| {
            let records = (record, attempt);
            Body::answer(Answer::new(incoming, records, (status, outcome), is_stream))
        })
    }

    /// Settles a call whose result nobody gets.
    fn settle(&self, result: Result<Answered, CallError>, mut record: CallRecord) {
        let now = self.clock.now();
        match result {
            Ok(mut answered) => {
                answered
                    .attempt
                    .answered(answered.status, answered.outcome, answered.asked, now);
                answered.attempt.settle(answered.outcome, now);
                record.answered(answered.status, answered.outcome, answered.asked, now);
                record.settle(answered.outcome, now);
            }
            Err(error) => record.failed(&error, now),
        }
    }
}

impl Answered {
    fn new(response: Response<Incoming>, attempt: AttemptRecord, terms: &Terms<'_>) -> Self {
        let status = Status::of_head(terms.protocol, response.status(), response.headers());
        Self {
            outcome: status.outcome(response.headers()),
            asked: terms.sent_by(),
            status,
            response,
            attempt,
        }
    }
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
            tried: Tried::default(),
            attempts: 0,
            number: 0,
            full: 0,
        }
    }

    fn ask_breaker(&self) -> Result<Passage, CallError> {
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
    fn replica_wait(&self) -> Duration {
        match self.edge.config.fallback {
            Some(_) => REPLICA_WAIT.min(self.edge.config.policy.slow_after),
            None => REPLICA_WAIT,
        }
    }

    /// Whether a copy of the request must be kept although its sending begins. A request that was certainly not acted
    /// on may be sent again whatever it is, but only HTTP/2 can tell after it was sent.
    fn may_need_request_again(&self) -> bool {
        let config = &self.edge.config;
        let may_retry = self.attempts <= config.policy.retry.max_retries
            && (self.outgoing.idempotent || self.outgoing.intent == Intent::Http2);
        may_retry || matches!(config.fallback, Some(Fallback::App(_)))
    }

    /// After an attempt: how long to wait before another one, or the result.
    fn decide(
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

    fn error(&self, reason: Reason) -> CallError {
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
