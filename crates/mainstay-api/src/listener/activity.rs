//! What a connection is doing, told by its socket and its requests, judged by its task.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::Response;
use mainstay_mesh::{Body, poll_write_together};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What a connection is doing. All of it happens on one thread, except for the end of a WebSocket.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU32,
    ended: AtomicU32,
    head_begun: AtomicBool,
    body_expected: AtomicBool,
    moved: AtomicBool,
    write_blocked: AtomicBool,
}

impl Activity {
    /// A request head is complete; the request runs until the result is dropped.
    pub(super) fn begin(self: &Arc<Self>, body_expected: bool) -> InFlight {
        self.body_expected.store(body_expected, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Whether nothing is under way in either direction, not even the rest of a request body that was answered early.
    pub(super) fn is_still(&self) -> bool {
        self.is_between_requests()
            && !self.is_mid_head()
            && !self.is_write_blocked()
            && !self.body_expected.load(Ordering::Relaxed)
    }

    /// How many requests have begun; wraps.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether no request runs.
    pub(super) fn is_between_requests(&self) -> bool {
        self.begun() == self.ended.load(Ordering::Relaxed)
    }

    /// Whether the first bytes of a head have come and the last have not (HTTP/1).
    pub(super) fn is_mid_head(&self) -> bool {
        self.is_between_requests() && self.head_begun.load(Ordering::Relaxed)
    }

    /// Whether a byte was read or written since the last time this was asked.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Whether the client does not take what is written.
    pub(super) fn is_write_blocked(&self) -> bool {
        self.write_blocked.load(Ordering::Relaxed)
    }

    /// Bytes were read.
    pub(super) fn record_read(&self) {
        self.moved.store(true, Ordering::Relaxed);
        self.head_begun.store(true, Ordering::Relaxed);
    }

    /// A write was tried, with this result.
    pub(super) fn record_write<T>(&self, result: Poll<T>) -> Poll<T> {
        self.write_blocked.store(result.is_pending(), Ordering::Relaxed);
        if result.is_ready() {
            self.moved.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// A running request.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // What was read until now belonged to this request.
        self.0.head_begun.store(false, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// A request that is being answered. A type of its own instead of an `async` block, which would hold the request
    /// twice.
    pub(super) struct Serving<F> {
        #[pin]
        answer: F,
        request: Option<InFlight>,
    }
}

impl<F> Serving<F> {
    pub(super) fn new(answer: F, request: InFlight) -> Self {
        let request = Some(request);
        Self { answer, request }
    }
}

impl<F: Future<Output = Response<Body>>> Future for Serving<F> {
    type Output = Result<Response<ServedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(context));
        let request = this.request.take();
        Poll::Ready(Ok(response.map(|body| ServedBody {
            body,
            _request: request,
        })))
    }
}

/// A response body that ends its request.
#[derive(Debug)]
pub(super) struct ServedBody {
    body: Body,
    _request: Option<InFlight>,
}

impl http_body::Body for ServedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's socket. It holds the connection's slot, also after an upgrade took it away from the server.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// What was read before and is to be read again.
    pub(super) unread: Bytes,
    pub(super) activity: Arc<Activity>,
    pub(super) _slot: OwnedSemaphorePermit,
    pub(super) _gauge: crate::metrics::OpenConnection,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            self.activity.record_read();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.activity.record_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.record_write(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = poll_write_together(&mut self.stream, context, slices);
        self.activity.record_write(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
