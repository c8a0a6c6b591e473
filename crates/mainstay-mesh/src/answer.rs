//! An answer on its way to the caller: its end ends the call.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use mainstay_base::{Clock, SystemClock};

use crate::replica::Replica;

/// The body of an answer together with what the exchange holds.
#[derive(Debug)]
pub(crate) struct Answer {
    incoming: Incoming,
    exchange: Exchange,
}

impl Answer {
    pub(crate) fn new(incoming: Incoming, mut exchange: Exchange) -> Self {
        if incoming.is_end_stream() {
            exchange.end();
        }
        Self { incoming, exchange }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        match &frame {
            Some(Ok(_)) if !self.incoming.is_end_stream() => {}
            Some(Err(_)) => self.exchange.abort(),
            _ => self.exchange.end(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// What one request and its answer hold of a replica. Dropping it aborts.
#[derive(Debug)]
pub(crate) struct Exchange {
    replica: Option<Arc<Replica>>,
    connection: Option<http1::SendRequest<crate::Body>>,
    worker: usize,
    clock: SystemClock,
}

impl Exchange {
    pub(crate) fn new(
        replica: Arc<Replica>,
        connection: Option<http1::SendRequest<crate::Body>>,
        worker: usize,
        clock: SystemClock,
    ) -> Self {
        replica.open();
        Self {
            replica: Some(replica),
            connection,
            worker,
            clock,
        }
    }

    /// The answer has ended: the connection is good for another request.
    fn end(&mut self) {
        if let (Some(replica), Some(connection)) = (&self.replica, self.connection.take()) {
            replica.pool.put(self.worker, connection, self.clock.now());
        }
        self.abort();
    }

    /// The answer broke off, or nobody wants it any more.
    fn abort(&mut self) {
        self.connection = None;
        if let Some(replica) = self.replica.take() {
            replica.close();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abort();
    }
}
