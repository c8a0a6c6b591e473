//! One attempt: a connection, the request on it, the head of the answer.

use std::error::Error as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use mainstay_base::{Clock, Deadline, Timestamp};
use pin_project_lite::pin_project;
use tokio::time::timeout_at;

use crate::deadline::Deadlines;
use crate::dial::{self, Connection, Intent};
use crate::mesh::Inner;
use crate::origin::Origin;
use crate::pool::Stream;
use crate::record::{AttemptRecord, Line};
use crate::replica::Replica;
use crate::upload::{Progress, Upload};
use crate::{Body, Protocol, Reason};

/// How long a caller over HTTP may pause while it sends its body. A gRPC caller may pause for as long as it likes: its
/// stream is a conversation.
const UPLOAD_PAUSE: Duration = Duration::from_secs(30);

/// How many waiting connections may turn out to be closed before a new one is opened.
const MAX_STALE: u32 = 3;

/// What an attempt is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) intent: Intent,
    /// The callee sees the client's `host` instead of its own address.
    pub(crate) keep_host: bool,
    pub(crate) protocol: Protocol,
    pub(crate) deadlines: Deadlines,
    pub(crate) attempt_timeout: Duration,
    /// The caller's body, while it may be a stream: a timeout must know whom it waits for.
    pub(crate) upload: Option<&'a Upload>,
}

/// Why an attempt got no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) cause: Option<io::Error>,
    /// The callee has certainly not acted on the request.
    pub(crate) unprocessed: bool,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            cause: None,
            unprocessed: false,
        }
    }
}

/// What hyper says in the end: the head of an answer, or an error with the request if nothing of it was sent.
type Sent = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// A connection, or a part of one, for one request.
#[derive(Debug)]
enum Lease {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>, Stream),
}

impl Inner {
    /// Sends the request in `request` on a connection of this worker and waits for the head of the answer. A request of
    /// which nothing was sent is there again afterwards.
    ///
    /// A waiting connection that the peer closed before anything was sent is replaced by another one.
    pub(crate) async fn exchange(
        &self,
        attempt: &mut AttemptRecord,
        request: &mut Option<Request<Body>>,
        terms: &Terms<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut stale = 0;
        loop {
            let waiting = if stale < MAX_STALE {
                waiting(&attempt.replica, attempt.worker, attempt.started, terms.intent)
            } else {
                None
            };
            let is_new = waiting.is_none();
            let lease = match waiting {
                Some(lease) => lease,
                // Boxed, because it is rare and its size would be carried by every call.
                None => Box::pin(self.opened(attempt, terms)).await?,
            };
            // Pinned here, because a future that is passed on is held twice.
            let sending = pin!(lease.send(request, attempt, terms.keep_host)?);
            match terms.wait(self, attempt.started, sending, request).await {
                Err(_) if request.is_some() && !is_new => stale += 1,
                answered => return answered,
            }
        }
    }

    /// A new connection.
    async fn opened(&self, attempt: &AttemptRecord, terms: &Terms<'_>) -> Result<Lease, Failure> {
        let AttemptRecord { replica, worker, .. } = attempt;
        let opening = async {
            // A shared connection that somebody else opened in the meantime will do.
            let shares = terms.intent == Intent::Http2;
            let _turn = if shares {
                Some(replica.pool.opening.lock().await)
            } else {
                None
            };
            let already = || waiting(replica, *worker, self.clock.now(), terms.intent);
            if let Some(lease) = shares.then(already).flatten() {
                return Ok(lease);
            }
            match self.open(*worker, &replica.origin, terms.intent).await? {
                Connection::Http1(sender) => Ok(Lease::Http1(sender)),
                Connection::Http2(sender) => {
                    let (sender, stream) = replica.pool.share(*worker, sender);
                    Ok(Lease::Http2(sender, stream))
                }
            }
        };
        let until = self.clock.instant(terms.until(attempt.started));
        let opened = timeout_at(until.into(), opening).await;
        opened
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|cause| Failure {
                cause: Some(cause),
                unprocessed: true,
                ..Reason::ConnectFailed.into()
            })
    }

    /// Opens a connection on a worker, so that it lives as long as the worker, whoever asked for it.
    async fn open(&self, worker: usize, origin: &Origin, intent: Intent) -> io::Result<Connection> {
        let runtime = self.workers.runtime(worker).ok_or(io::ErrorKind::NotConnected)?;
        let opening = runtime.spawn(dial::open(origin.place.clone(), intent));
        opening.await.map_err(io::Error::other)?
    }
}

/// A connection that is already open.
fn waiting(replica: &Replica, worker: usize, now: Timestamp, intent: Intent) -> Option<Lease> {
    let stream = || {
        replica
            .pool
            .stream(worker)
            .map(|(sender, stream)| Lease::Http2(sender, stream))
    };
    let whole = || replica.pool.take(worker, now).map(Lease::Http1);
    match intent {
        Intent::Upgrade => None,
        Intent::Http2 => stream(),
        Intent::Any if replica.origin.may_agree_on_http2() => stream().or_else(whole),
        Intent::Any => whole(),
    }
}

pin_project! {
    /// A request under way on a connection of either kind.
    #[project = SendingOf]
    enum Sending<A, B> {
        Http1 { #[pin] answer: A },
        Http2 { #[pin] answer: B },
    }
}

impl<A, B> Future for Sending<A, B>
where
    A: Future,
    B: Future<Output = A::Output>,
{
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<A::Output> {
        match self.project() {
            SendingOf::Http1 { answer } => answer.poll(context),
            SendingOf::Http2 { answer } => answer.poll(context),
        }
    }
}

impl Lease {
    /// Sends the request; the connection is the attempt's from now on.
    fn send(
        self,
        request: &mut Option<Request<Body>>,
        attempt: &mut AttemptRecord,
        keep_host: bool,
    ) -> Result<impl Future<Output = Sent> + use<>, Failure> {
        let mut request = request.take().ok_or(Reason::Internal)?;
        let is_http2 = matches!(self, Self::Http2(..));
        address(&mut request, &attempt.replica.origin, is_http2, keep_host).map_err(|error| Failure {
            cause: Some(io::Error::other(error)),
            ..Reason::InvalidRequest.into()
        })?;
        Ok(match self {
            Self::Http1(mut sender) => {
                let answer = sender.try_send_request(request);
                attempt.sent_on(Line::Http1(sender));
                Sending::Http1 { answer }
            }
            Self::Http2(mut sender, stream) => {
                let answer = sender.try_send_request(request);
                attempt.sent_on(Line::Http2(stream));
                Sending::Http2 { answer }
            }
        })
    }
}

/// Writes down where the request goes.
fn address(
    request: &mut Request<Body>,
    origin: &Origin,
    is_http2: bool,
    keep_host: bool,
) -> Result<(), http::Error> {
    let path = request.uri().path_and_query().cloned();
    if is_http2 {
        let host = request.headers_mut().remove(header::HOST);
        let authority = match host {
            _ if !keep_host => None,
            Some(host) => Some(Authority::try_from(host.as_bytes())?),
            // It was moved there by an attempt before this one.
            None => request.uri().authority().cloned(),
        };
        *request.uri_mut() = origin.absolute_form(path, authority)?;
        *request.version_mut() = Version::HTTP_2;
    } else {
        *request.uri_mut() = origin.origin_form(path)?;
        *request.version_mut() = Version::HTTP_11;
        if !keep_host || !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, origin.host.clone());
        }
    }
    Ok(())
}

impl Terms<'_> {
    /// When the last of the request was sent; `None` while there is more to come.
    pub(crate) fn sent_by(&self) -> Option<Timestamp> {
        match self.upload.map(Upload::progress) {
            None => Some(Timestamp::ZERO),
            Some(Progress::Callee(since)) => Some(since),
            Some(Progress::Caller(_) | Progress::Broken) => None,
        }
    }

    /// When an attempt that `started` then has taken too long, if the callee has the whole request by now.
    fn until(&self, started: Timestamp) -> Timestamp {
        self.deadlines
            .effective
            .moment()
            .min(started + self.attempt_timeout)
    }

    /// Waits for the head of the answer, for as long as that is of use. What was not sent comes back in `unsent`.
    async fn wait(
        &self,
        mesh: &Inner,
        started: Timestamp,
        mut sending: Pin<&mut impl Future<Output = Sent>>,
        unsent: &mut Option<Request<Body>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut until = self.until(started);
        loop {
            match timeout_at(mesh.clock.instant(until).into(), sending.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(mut error)) => {
                    *unsent = error.take_message();
                    return Err(self.broken(&error.into_error(), unsent.is_some()));
                }
                Err(_) => until = self.extended(started, mesh.clock.now())?,
            }
        }
    }

    /// The time is over: until when to wait nevertheless, because it was the caller who took it. Looks again after every
    /// `attempt_timeout`, since the caller may go on at any moment.
    fn extended(&self, started: Timestamp, now: Timestamp) -> Result<Timestamp, Reason> {
        let too_late = if self.deadlines.effective.is_expired(now) {
            Reason::DeadlineExceeded
        } else {
            Reason::AttemptTimeout
        };
        let next = now + self.attempt_timeout;
        let (until, reason) = match self.upload.map(Upload::progress) {
            None => return Err(too_late),
            Some(Progress::Broken) => return Err(Reason::RequestBody),
            Some(Progress::Callee(since)) if since <= started => return Err(too_late),
            Some(Progress::Callee(since)) => (since + self.attempt_timeout, Reason::AttemptTimeout),
            Some(Progress::Caller(_)) if self.protocol == Protocol::Grpc => (next, too_late),
            Some(Progress::Caller(since)) => (since + UPLOAD_PAUSE, Reason::RequestBody),
        };
        let brought = self.deadlines.brought.map_or(next, Deadline::moment);
        if brought <= now {
            Err(Reason::DeadlineExceeded)
        } else if until <= now {
            Err(reason)
        } else {
            Ok(until.min(next).min(brought))
        }
    }

    /// Reads why the connection gave no answer.
    fn broken(&self, error: &hyper::Error, is_unsent: bool) -> Failure {
        let upload_broke = self
            .upload
            .is_some_and(|upload| upload.progress() == Progress::Broken);
        let reason = if upload_broke || error.is_user() {
            Reason::RequestBody
        } else if error.is_parse() {
            Reason::Garbage
        } else {
            Reason::Broken
        };
        Failure {
            unprocessed: is_unsent || was_refused(error),
            cause: Some(io::Error::other(error.to_string())),
            reason,
        }
    }
}

/// Whether an HTTP/2 peer has said that it did not act on the request (RFC 9113, 8.7): it refused the stream, or it
/// goes away and the stream came too late.
fn was_refused(error: &hyper::Error) -> bool {
    let error = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}
