//! Spans: one per call and one per attempt, in records that are made once and used again and again.

#![expect(
    clippy::vec_box,
    reason = "a span under way moves as a pointer from record to record"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use mainstay_base::metric::Counter;
use mainstay_base::{Clock, SystemClock, Timestamp};
use mainstay_policy::Outcome;
use tokio::sync::Notify;

use crate::edge::Edge;
use crate::headers::TRACEPARENT;
use crate::judge::Status;
use crate::replica::Replica;
use crate::trace::TraceContext;
use crate::{Reason, Workers};

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Spans of one worker that are under way or wait for the exporter; further ones are dropped and counted.
const SPANS_PER_WORKER: usize = 4096;

/// The spans, and the decision which calls have one.
#[derive(Debug)]
pub(crate) struct Spans {
    /// One for each worker, so that the locks are free. None when nobody exports.
    shelves: Box<[Mutex<Shelf>]>,
    workers: Workers,
    ratio: f64,
    dropped: Counter,
    /// The wall clock at [`Timestamp::ZERO`], in nanoseconds since the epoch.
    origin_unix_nanos: u64,
    /// Told when half of a worker's spans wait.
    pub(crate) filling: Notify,
}

/// The spans of one worker that are not under way.
#[derive(Debug)]
#[expect(
    clippy::vec_box,
    reason = "a span under way moves as a pointer from record to record"
)]
struct Shelf {
    blank: Vec<Box<Span>>,
    ended: Vec<Box<Span>>,
}

/// A span.
#[derive(Debug, Default)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) edge: Option<Arc<Edge>>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) status: Option<Status>,
    pub(crate) reason: Option<Reason>,
    pub(crate) of: SpanOf,
}

/// What a span tells of.
#[derive(Debug, Default)]
pub(crate) enum SpanOf {
    /// Nothing yet.
    #[default]
    Nothing,
    /// A whole call, as its caller sees it.
    Call {
        method: Method,
        path: Option<PathAndQuery>,
        fallback: bool,
    },
    /// One attempt, as its callee sees it; counted from 1.
    Attempt { number: u32, replica: Arc<Replica> },
}

impl Span {
    /// What the callee is told of the trace.
    pub(crate) fn traceparent(&self) -> HeaderValue {
        self.context().header()
    }

    /// Where its children belong. Only recorded traces have spans.
    pub(crate) fn context(&self) -> TraceContext {
        TraceContext {
            trace_id: self.trace,
            span_id: self.id,
            sampled: true,
        }
    }
}

impl Spans {
    /// Keeps the spans of a share of `ratio` of new traces if somebody is to export them.
    pub(crate) fn new(export: bool, ratio: f64, workers: &Workers, clock: SystemClock) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "spans carry the wall clock; nothing is decided by it"
        )]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_origin = clock.now().since(Timestamp::ZERO);
        let shelves = if export { workers.count() } else { 0 };
        let shelf = |_| {
            Mutex::new(Shelf {
                blank: (0..SPANS_PER_WORKER).map(|_| Box::default()).collect(),
                ended: Vec::with_capacity(SPANS_PER_WORKER),
            })
        };
        Self {
            shelves: (0..shelves).map(shelf).collect(),
            workers: workers.clone(),
            ratio,
            dropped: Counter::default(),
            origin_unix_nanos: nanos(wall.saturating_sub(since_origin)),
            filling: Notify::new(),
        }
    }

    /// Begins the span of a call and makes sure that its request carries a trace.
    ///
    /// A call whose trace is not recorded passes the caller's context on as it is: its own span would never be seen.
    pub(crate) fn begin_call(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        uri: &Uri,
        now: Timestamp,
    ) -> Option<Box<Span>> {
        let given = headers
            .get(TRACEPARENT)
            .and_then(|value| TraceContext::parse(value.as_bytes()));
        let context = given.map_or_else(|| TraceContext::generate(self.ratio), TraceContext::child);
        if given.is_none() {
            headers.insert(TRACEPARENT, context.header());
            // It belongs to a trace that could not be read.
            headers.remove(TRACESTATE);
        }
        if !context.sampled {
            return None;
        }
        let mut span = self.blank()?;
        span.trace = context.trace_id;
        span.id = context.span_id;
        span.parent = given.map(|given| given.span_id);
        span.start = now;
        span.of = SpanOf::Call {
            method: method.clone(),
            path: uri.path_and_query().cloned(),
            fallback: false,
        };
        Some(span)
    }

    /// Begins the span of an attempt of the call in `call`.
    pub(crate) fn begin_attempt(
        &self,
        call: TraceContext,
        number: u32,
        replica: Arc<Replica>,
        now: Timestamp,
    ) -> Option<Box<Span>> {
        let context = call.child();
        let mut span = self.blank()?;
        span.trace = context.trace_id;
        span.id = context.span_id;
        span.parent = Some(call.span_id);
        span.start = now;
        span.of = SpanOf::Attempt { number, replica };
        Some(span)
    }

    /// Ends a span.
    pub(crate) fn end(&self, mut span: Box<Span>, edge: &Arc<Edge>, outcome: Outcome, now: Timestamp) {
        span.end = now;
        span.edge = Some(edge.clone());
        span.outcome = Some(outcome);
        let Some(mut shelf) = self.shelf(self.workers.current()) else {
            return;
        };
        shelf.ended.push(span);
        if shelf.ended.len() == SPANS_PER_WORKER / 2 {
            self.filling.notify_one();
        }
    }

    /// Moves up to `size` ended spans into the empty `batch`; `false` when there are none.
    pub(crate) fn take(&self, size: usize, batch: &mut Vec<Box<Span>>) -> bool {
        for worker in 0..self.shelves.len() {
            if let Some(mut shelf) = self.shelf(worker) {
                let from = shelf.ended.len().saturating_sub(size - batch.len());
                batch.extend(shelf.ended.drain(from..));
            }
        }
        !batch.is_empty()
    }

    /// Takes the spans of `batch` back to be used again, whether they were `delivered` or are lost.
    pub(crate) fn give_back(&self, batch: &mut Vec<Box<Span>>, delivered: bool) {
        if !delivered {
            self.dropped.add(batch.len() as u64);
        }
        for span in batch.iter_mut() {
            **span = Span::default();
        }
        // To whoever has the fewest: a span may end on another worker than it began on.
        let shelves = (0..self.shelves.len()).filter_map(|worker| self.shelf(worker));
        if let Some(mut shelf) = shelves.min_by_key(|shelf| shelf.blank.len()) {
            shelf.blank.append(batch);
        }
    }

    /// Spans lost: their exporter did not keep up, or their collector did not take them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// `at` on the wall clock, in nanoseconds since the epoch.
    pub(crate) fn unix_nanos(&self, at: Timestamp) -> u64 {
        self.origin_unix_nanos.saturating_add(at.as_nanos())
    }

    fn blank(&self) -> Option<Box<Span>> {
        let span = self.shelf(self.workers.current())?.blank.pop();
        if span.is_none() {
            self.dropped.increment();
        }
        span
    }

    fn shelf(&self, worker: usize) -> Option<MutexGuard<'_, Shelf>> {
        let shelf = self.shelves.get(worker)?;
        Some(shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
