//! One exchange on a shared HTTP/2 connection, on `h2` itself: hyper's client gives every request a place in a queue and
//! two tasks, which cost more than all policies of a call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture};
use h2::{Reason as ResetReason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use mainstay_base::limits::MAX_HEAD_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Body;

/// How many bytes of one answer, and of all answers of a connection, may wait to be passed on.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 5 * 1024 * 1024;
/// How many bytes of one request may wait to be written.
const SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// The streams that are opened before the peer has told how many it takes: more could be refused.
const UNKNOWN_STREAMS: usize = 1;

/// The end of a connection on which requests are sent; clones share the connection.
pub(crate) type Sender = h2::client::SendRequest<Bytes>;

/// Opens a connection on `stream`. It is driven by a task that ends with its last sender and request, or when the peer
/// closes.
pub(crate) async fn handshake<S>(stream: S) -> Result<Sender, h2::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(UNKNOWN_STREAMS)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake(stream)
        .await?;
    // A connection that breaks tells the requests on it; there is nobody else to tell.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// How many streams the peer takes at a time; `None` while it has not told yet. More of them wait.
pub(crate) fn streams_allowed(sender: &Sender) -> Option<usize> {
    Some(sender.current_max_send_streams()).filter(|streams| *streams > UNKNOWN_STREAMS)
}

/// Whether requests can be sent on the connection: it is open, and the peer takes more of them.
pub(crate) fn is_open(sender: &mut Sender) -> bool {
    let mut context = Context::from_waker(std::task::Waker::noop());
    matches!(sender.poll_ready(&mut context), Poll::Ready(Ok(())))
}

/// Why an exchange got no head of an answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection was closed before anything was sent; the request is there again.
    Unsent(Box<Request<Body>>, h2::Error),
    /// The connection or the stream failed.
    Stream(h2::Error),
    /// The body of the request failed.
    Upload(io::Error),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unsent(_, error) | Broken::Stream(error) => Self::other(error),
            Broken::Upload(error) => error,
        }
    }
}

/// A request under way. Dropping it resets the stream.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// Nothing was sent yet.
    Begins(Sender, Request<Body>),
    /// The head of the answer is waited for.
    Waits(ResponseFuture, Option<Upload>),
    /// It is over.
    Ended,
}

impl Future for Exchange {
    /// The head of the answer, with the rest of the request if there is any (boxed, because that is rare).
    type Output = Result<(Response<Download>, Option<Box<Upload>>), Broken>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Self::Begins(sender, _) = this {
            let opened = ready!(sender.poll_ready(context));
            let Self::Begins(sender, request) = std::mem::replace(this, Self::Ended) else {
                return Poll::Pending;
            };
            if let Err(error) = opened {
                return Poll::Ready(Err(Broken::Unsent(Box::new(request), error)));
            }
            let (answer, upload) = begin(sender, request).map_err(Broken::Stream)?;
            *this = Self::Waits(answer, upload);
        }
        let Self::Waits(answer, upload) = this else {
            return Poll::Pending;
        };
        if let Some(running) = upload
            && let Poll::Ready(result) = running.poll_send(context)
        {
            *upload = None;
            match result {
                Err(Stopped::Body(error)) => {
                    *this = Self::Ended;
                    return Poll::Ready(Err(Broken::Upload(error)));
                }
                // What the peer says about it comes as its answer.
                Ok(()) | Err(Stopped::Stream) => {}
            }
        }
        let answer = ready!(Pin::new(answer).poll(context));
        let upload = upload.take().map(Box::new);
        *this = Self::Ended;
        Poll::Ready(match answer {
            Ok(response) => Ok((Download::begin(response), upload)),
            Err(error) => Err(Broken::Stream(error)),
        })
    }
}

fn begin(mut sender: Sender, request: Request<Body>) -> Result<(ResponseFuture, Option<Upload>), h2::Error> {
    let (mut head, body) = request.into_parts();
    let is_ended = body.is_end_stream();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        head.headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    let (answer, stream) = sender.send_request(Request::from_parts(head, ()), is_ended)?;
    let upload = (!is_ended).then(|| Upload {
        body,
        stream,
        chunk: None,
    });
    Ok((answer, upload))
}

/// The body of a request on its way.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// A piece that waits until the peer has room.
    chunk: Option<Bytes>,
}

/// Why a body was not sent to its end.
#[derive(Debug)]
enum Stopped {
    /// The body failed; the stream was reset.
    Body(io::Error),
    /// The peer or the connection ended the stream.
    Stream,
}

impl Upload {
    /// Sends the rest. Ends early when the peer wants no more of it.
    pub(crate) async fn finish(mut self: Box<Self>) {
        // How it ends shows in the answer.
        let _ = std::future::poll_fn(|context| self.poll_send(context)).await;
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            // Also registers for a reset while something else is waited for.
            if self.stream.poll_reset(context).is_ready() {
                return Poll::Ready(Err(Stopped::Stream));
            }
            let needs_room = self.chunk.as_ref().is_some_and(|chunk| !chunk.is_empty());
            if needs_room && !ready!(self.poll_capacity(context)) {
                return Poll::Ready(Err(Stopped::Stream));
            }
            if let Some(chunk) = self.chunk.take() {
                let is_last = self.body.is_end_stream();
                if self.stream.send_data(chunk, is_last).is_err() {
                    return Poll::Ready(Err(Stopped::Stream));
                }
                if is_last {
                    return Poll::Ready(Ok(()));
                }
            }
            let sent = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.stream.send_data(Bytes::new(), true),
                Some(Err(error)) => {
                    self.stream.send_reset(ResetReason::CANCEL);
                    return Poll::Ready(Err(Stopped::Body(error)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => {
                        // Room for one byte is asked for, and for the rest when the piece is handed over: a large claim
                        // of one stream would keep the others waiting.
                        self.stream.reserve_capacity(usize::from(!chunk.is_empty()));
                        self.chunk = Some(chunk);
                        continue;
                    }
                    Err(frame) => {
                        self.stream.reserve_capacity(0);
                        self.stream
                            .send_trailers(frame.into_trailers().unwrap_or_else(|_| HeaderMap::new()))
                    }
                },
            };
            return Poll::Ready(sent.map_err(|_| Stopped::Stream));
        }
    }

    /// Waits for room; `false` when there will be none.
    fn poll_capacity(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Download {
    stream: RecvStream,
    /// Bytes still to come, where the answer says so.
    left: Option<u64>,
    data_ended: bool,
}

impl Download {
    fn begin(response: Response<RecvStream>) -> Response<Self> {
        let (head, stream) = response.into_parts();
        let length = head.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let download = Self {
            // The answer to a HEAD names the length of what it does not contain.
            left: if stream.is_end_stream() { Some(0) } else { length },
            data_ended: false,
            stream,
        };
        Response::from_parts(head, download)
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(data)) => {
                    // Fails only when the stream is over, and then there is no window to be given back.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // The peer wants no more of the request, and has said all it has to say (RFC 9113, 8.1).
                Some(Err(error)) if error.reason() == Some(ResetReason::NO_ERROR) => {
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(context)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
