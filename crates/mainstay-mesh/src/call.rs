//! The call path: one file that reads top to bottom as the life of a call.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use mainstay_base::{Clock, ReplicaId, Timestamp};
use mainstay_policy::Outcome;
use tokio::time::timeout_at;

use crate::answer::Answer;
use crate::choose::Choice;
use crate::exchange::{Failure, Terms};
use crate::flow::{Flow, REPLICA_WAIT};
use crate::incoming::Incoming;
use crate::judge::{self, Status};
use crate::mesh::Inner;
use crate::outgoing::Outgoing;
use crate::record::{AttemptRecord, CallRecord, outcome_of};
use crate::replica::Replica;
use crate::{Body, CallError, Caller, Mesh, Reason, fallback, headers, upgrade};

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
    /// One replica of an app and no other: what every replica has to hear is told to each.
    Replica(ReplicaId),
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

/// How often a call that came in finds every replica full before it is turned away: it happens only when replicas have
/// just gone.
const MAX_FULL: u32 = 3;

/// An attempt with the head of an answer.
pub(crate) struct Answered {
    response: Response<Incoming>,
    pub(crate) attempt: AttemptRecord,
    pub(crate) status: Status,
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
        let mut only = None;
        let (edge, path) = match &call.target {
            Target::Name(name) => (self.directory.resolve(&call.caller.state, name)?, None),
            Target::Replica(replica) => {
                only = Some(replica.index);
                let edge = self.directory.resolve(&call.caller.state, replica.app.as_str())?;
                (edge, None)
            }
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
        let mut flow = Box::new(Flow::new(edge, outgoing, now));
        flow.only = only;
        Ok(flow)
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
            match flow.edge.callee.choose(&flow.tried, flow.only, flow.now) {
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
                Choice::None if flow.only.is_some() => return Err(flow.error(Reason::NoReplica)),
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
                    let now = self.clock.now();
                    if failure.goes_away {
                        attempt.settle(Outcome::Cancelled, now);
                    } else {
                        attempt.failed(failure.reason, now);
                    }
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
