//! An answer on its way to the caller: its end ends the call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use mainstay_base::{Clock, Timestamp};
use mainstay_policy::Outcome;
use tokio::time::Sleep;

use crate::incoming::Incoming;
use crate::judge::Status;
use crate::record::{AttemptRecord, CallRecord};

/// An answer of known length may pause this long, or as long as an attempt may take if that is longer; then it has
/// broken off.
const MIN_STALL: Duration = Duration::from_secs(10);

/// The body of an answer together with the records of its call.
///
/// An answer of unknown length that pauses for longer than an attempt may take is a stream: it gives its places back,
/// stays open and is never cut.
#[derive(Debug)]
pub(crate) struct Answer {
    incoming: Incoming,
    records: Option<Records>,
    /// What the head said, or what was decided later.
    outcome: Outcome,
    /// The outcome comes with gRPC's trailers.
    awaits_trailers: bool,
    /// Runs while the answer pauses. Boxed, since nearly every answer is there before anyone asks for it.
    stall: Option<Pin<Box<Sleep>>>,
}

/// What an answer settles at its end.
#[derive(Debug)]
struct Records {
    call: CallRecord,
    attempt: AttemptRecord,
    is_stream: bool,
}

impl Answer {
    /// An answer with this `status`, read as `outcome`. One that `is_stream` is settled now.
    pub(crate) fn new(
        incoming: Incoming,
        (call, attempt): (CallRecord, AttemptRecord),
        (status, outcome): (Status, Outcome),
        is_stream: bool,
    ) -> Self {
        let mut records = Records {
            call,
            attempt,
            is_stream,
        };
        if is_stream {
            records.settle(outcome);
        }
        let mut answer = Self {
            outcome,
            awaits_trailers: status == Status::GrpcPending,
            stall: None,
            records: Some(records),
            incoming,
        };
        if answer.incoming.is_end_stream() {
            answer.end(None);
        }
        answer
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            return self.poll_stall(context);
        };
        self.stall = None;
        match &frame {
            None => self.end(None),
            Some(Err(_)) => self.abort(),
            Some(Ok(frame)) if frame.is_trailers() => self.end(frame.trailers_ref()),
            Some(Ok(_)) if self.incoming.is_end_stream() => self.end(None),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    /// The answer pauses.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(records) = self.records.as_mut().filter(|records| !records.is_stream) else {
            return Poll::Pending;
        };
        let attempt_timeout = records.attempt.edge.config.policy.attempt_timeout;
        let is_bounded = self.incoming.size_hint().exact().is_some();
        let stall = self.stall.get_or_insert_with(|| {
            let limit = if is_bounded {
                attempt_timeout.max(MIN_STALL)
            } else {
                attempt_timeout
            };
            Box::pin(tokio::time::sleep(limit))
        });
        if stall.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.stall = None;
        if is_bounded {
            self.abort();
            let stalled = "the answer broke off: nothing came for too long";
            let stalled = io::Error::new(io::ErrorKind::TimedOut, stalled);
            return Poll::Ready(Some(Err(stalled)));
        }
        records.is_stream = true;
        records.settle(self.outcome);
        Poll::Pending
    }

    /// The answer has ended well, as far as its connection is concerned.
    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let Some(mut records) = self.records.take() else {
            return;
        };
        if self.awaits_trailers {
            let status = Status::of_trailers(trailers);
            self.outcome = status.outcome(trailers.unwrap_or(&HeaderMap::new()));
            records.call.ended_with(status);
            records.attempt.ended_with(status);
        }
        let now = records.attempt.edge.clock.now();
        records.attempt.reuse_line(now);
        records.settle_at(self.outcome, now);
    }

    /// The answer broke off.
    fn abort(&mut self) {
        if let Some(mut records) = self.records.take() {
            records.settle(Outcome::Failure);
        }
    }
}

impl Drop for Answer {
    /// The caller went away. That says nothing about the callee, unless the head already has.
    fn drop(&mut self) {
        if let Some(records) = self.records.as_mut().filter(|_| self.outcome != Outcome::Success) {
            records.settle(self.outcome);
        }
    }
}

impl Records {
    fn settle(&mut self, outcome: Outcome) {
        self.settle_at(outcome, self.attempt.edge.clock.now());
    }

    fn settle_at(&mut self, outcome: Outcome, now: Timestamp) {
        self.attempt.settle(outcome, now);
        self.call.settle(outcome, now);
    }
}
