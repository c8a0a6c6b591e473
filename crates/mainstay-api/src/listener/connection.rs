//! The life of one connection: wait for its first bytes, serve HTTP/1.1 or HTTP/2 on it, close it when it stands still.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use super::activity::{Activity, ServedBody, Serving, Socket};
use super::watchdog::{End, Watchdog};
use super::{Handler, Limits, Phase, Shared};
use crate::reply;
use crate::wire::Problem;

/// Most bytes that an HTTP/1 connection buffers in one direction.
const BUFFER_BYTES: usize = 64 * 1024;
/// How many bytes of one HTTP/2 request, and of all requests of a connection, may wait to be read.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams that a client may reset before they were looked at: more is a flood (CVE-2023-44487) and ends the connection.
const PENDING_RESETS: usize = 64;
/// A dead peer is found by a ping after this long, and given up after the timeout.
const PING_INTERVAL: Duration = Duration::from_mins(1);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves one connection until it ends.
pub(super) async fn serve<H: Handler>(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<H>>,
    slot: OwnedSemaphorePermit,
    mut phase: watch::Receiver<Phase>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let mut socket = Socket {
        stream,
        unread: Bytes::new(),
        activity: Arc::default(),
        _slot: slot,
        _gauge: shared.metrics.open(shared.kind),
    };
    let session = shared.handler.session(peer);
    loop {
        // While nothing comes, a connection costs no more than this task: what serves it is boxed and gone.
        let protocol = tokio::select! {
            biased;
            _ = phase.changed() => return,
            protocol = protocol_of(&socket, &shared.limits) => protocol,
        };
        let session = session.clone();
        let (end, parked) = match protocol {
            None => return,
            Some(Protocol::Http1) => Box::pin(serve_http1(socket, session, &shared, phase.clone())).await,
            Some(Protocol::Http2) => {
                let end = Box::pin(serve_http2(socket, session, &shared, phase.clone())).await;
                (end, None)
            }
        };
        if let Some(refusal) = end.refusal() {
            shared.metrics.refuse(shared.kind, refusal);
        }
        match parked {
            Some(parked) => socket = parked,
            None => return,
        }
    }
}

/// Serves HTTP/1.1 until the connection ends or stands still; if it stands still, gives the socket back.
async fn serve_http1<H: Handler>(
    socket: Socket,
    session: H::Session,
    shared: &Arc<Shared<H>>,
    phase: watch::Receiver<Phase>,
) -> (End, Option<Socket>) {
    let activity = Arc::clone(&socket.activity);
    let service = service(Arc::clone(&shared.handler), Arc::clone(&activity), session);
    let connection = http1(&shared.limits).serve_connection(TokioIo::new(socket), service);
    let mut connection = connection.with_upgrades();
    let watchdog = Watchdog {
        activity: &activity,
        limits: &shared.limits,
        phase,
    };
    let drain = http1::UpgradeableConnection::graceful_shutdown;
    let end = watchdog
        .watch(Protocol::Http1, Pin::new(&mut connection), drain)
        .await;
    let Some(parts) = connection.into_parts() else {
        return (end, None);
    };
    let mut socket = parts.io.into_inner();
    match end {
        End::Parked => {
            socket.unread = parts.read_buf;
            (end, Some(socket))
        }
        End::HeadTimeout => {
            answer_head_timeout(socket.stream).await;
            (end, None)
        }
        _ => (end, None),
    }
}

/// Serves HTTP/2 until the connection ends.
async fn serve_http2<H: Handler>(
    socket: Socket,
    session: H::Session,
    shared: &Arc<Shared<H>>,
    phase: watch::Receiver<Phase>,
) -> End {
    let activity = Arc::clone(&socket.activity);
    let service = service(Arc::clone(&shared.handler), Arc::clone(&activity), session);
    let connection = http2(&shared.limits).serve_connection(TokioIo::new(socket), service);
    let watchdog = Watchdog {
        activity: &activity,
        limits: &shared.limits,
        phase,
    };
    let drain = http2::Connection::graceful_shutdown;
    watchdog.watch(Protocol::Http2, pin!(connection), drain).await
}

/// The handler as hyper wants it, each request counted from its head to the end of its answer.
fn service<H: Handler>(
    handler: Arc<H>,
    activity: Arc<Activity>,
    session: H::Session,
) -> impl Service<Request<Incoming>, Response = Response<ServedBody>, Error = Infallible, Future: Send + 'static>
{
    service_fn(move |request: Request<Incoming>| {
        let in_flight = activity.begin(!request.body().is_end_stream());
        let handler = Arc::clone(&handler);
        Serving::new(handler.handle(request, session.clone()), in_flight)
    })
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// The first four bytes of the HTTP/2 preface (RFC 9113, 3.4). No HTTP/1 method begins with them.
const PREFACE: &[u8] = b"PRI ";
/// How often a connection is looked at that has sent less than [`PREFACE`] and may still become either.
const PARTIAL_PREFACE_PAUSE: Duration = Duration::from_millis(5);

/// Waits for the first bytes and tells the protocol from them without taking them. `None` when none came in time.
async fn protocol_of(socket: &Socket, limits: &Limits) -> Option<Protocol> {
    if !socket.unread.is_empty() {
        return Some(Protocol::Http1);
    }
    let stream = &socket.stream;
    timeout(limits.idle_timeout, stream.readable()).await.ok()?.ok()?;
    let decide = async {
        let mut bytes = [0; PREFACE.len()];
        loop {
            let count = stream.peek(&mut bytes).await.ok()?;
            match bytes.get(..count)? {
                [] => return None,
                PREFACE => return Some(Protocol::Http2),
                part if PREFACE.starts_with(part) => sleep(PARTIAL_PREFACE_PAUSE).await,
                _ => return Some(Protocol::Http1),
            }
        }
    };
    timeout(limits.head_timeout, decide).await.ok()?
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The watchdog's work: hyper's timer cannot tell a slow head from an idle connection.
        .header_read_timeout(None)
        // Hyper's bound of 100 headers is `mainstay_base::limits::MAX_HEADERS`; naming it would cost an allocation.
        .max_header_size(limits.head_bytes)
        .max_buf_size(BUFFER_BYTES.max(limits.head_bytes));
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// How long a client that is being refused may take to hear it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Says 408 and reads what the client still sends, so that the answer is not lost in a reset.
async fn answer_head_timeout(mut stream: TcpStream) {
    let body = reply::json_bytes(&Problem {
        error_code: "ERR_REQUEST_TIMEOUT".to_owned(),
        message: "the request head did not arrive in time".to_owned(),
    });
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let last_words = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // The client has been refused already; whether it listens is its own affair.
    let _ = timeout(LAST_WORDS, last_words).await;
}
