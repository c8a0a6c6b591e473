//! One attempt: a connection, the request on it, the head of the answer.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response, Version, header};
use hyper::client::conn::{TrySendError, http1};
use mainstay_base::{Clock, Deadline, Timestamp};
use pin_project_lite::pin_project;
use tokio::time::timeout_at;

use crate::deadline::Deadlines;
use crate::dial::{self, Connection, Intent};
use crate::incoming::Incoming;
use crate::mesh::Inner;
use crate::origin::Origin;
use crate::pool::Stream;
use crate::record::{AttemptRecord, Line};
use crate::replica::Replica;
use crate::upload::{Progress, Upload};
use crate::{Body, Protocol, Reason, http2};

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
    /// Nor does that say anything about the callee: it closed the connection in good order, and another one will do.
    pub(crate) goes_away: bool,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            cause: None,
            unprocessed: false,
            goes_away: false,
        }
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        Self {
            reason: Reason::Broken,
            unprocessed: was_refused(&error),
            goes_away: goes_away(&error),
            cause: Some(io::Error::other(error)),
        }
    }
}

/// What becomes of a request on a connection: the head of an answer, perhaps with the rest of the request, or nothing.
type Sent = Result<(Response<Incoming>, Option<Box<http2::Upload>>), Broken>;

/// Why a connection gave no answer.
#[derive(Debug)]
struct Broken {
    /// The request if nothing of it was sent.
    unsent: Option<Box<Request<Body>>>,
    failure: Failure,
}

impl From<TrySendError<Request<Body>>> for Broken {
    fn from(mut error: TrySendError<Request<Body>>) -> Self {
        let unsent = error.take_message().map(Box::new);
        let error = error.into_error();
        let reason = if error.is_user() {
            Reason::RequestBody
        } else if error.is_parse() {
            Reason::Garbage
        } else {
            Reason::Broken
        };
        let failure = Failure {
            cause: Some(io::Error::other(error.to_string())),
            unprocessed: unsent.is_some(),
            ..reason.into()
        };
        Self { unsent, failure }
    }
}

impl From<http2::Broken> for Broken {
    fn from(broken: http2::Broken) -> Self {
        let (unsent, failure) = match broken {
            http2::Broken::Unsent(request, error) => {
                let failure = Failure {
                    unprocessed: true,
                    ..error.into()
                };
                (Some(request), failure)
            }
            http2::Broken::Stream(error) => (None, error.into()),
            http2::Broken::Upload(error) => {
                let failure = Failure {
                    cause: Some(error),
                    ..Reason::RequestBody.into()
                };
                (None, failure)
            }
        };
        Self { unsent, failure }
    }
}

/// A connection, or a part of one, for one request.
#[derive(Debug)]
enum Lease {
    Http1(http1::SendRequest<Body>),
    Http2(http2::Sender, Stream),
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
                Err(failure) => return Err(failure),
                Ok((response, upload)) => {
                    if let Some(upload) = upload
                        && let Some(runtime) = self.workers.runtime(attempt.worker)
                    {
                        // A task of its own, because an answer that is not read must not hold up the request.
                        attempt.uploads_on(runtime.spawn(upload.finish()).abort_handle());
                    }
                    return Ok(response);
                }
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
    enum Sending<A> {
        Http1 { #[pin] answer: A },
        Http2 { #[pin] answer: http2::Exchange },
    }
}

impl<A> Future for Sending<A>
where
    A: Future<Output = Result<Response<hyper::body::Incoming>, TrySendError<Request<Body>>>>,
{
    type Output = Sent;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        match self.project() {
            SendingOf::Http1 { answer } => answer.poll(context).map(|answer| {
                let answer = answer.map_err(Broken::from)?;
                Ok((answer.map(Incoming::Http1), None))
            }),
            SendingOf::Http2 { answer } => answer.poll(context).map(|answer| {
                let (answer, upload) = answer.map_err(Broken::from)?;
                Ok((answer.map(Incoming::Http2), upload))
            }),
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
            Self::Http2(sender, stream) => {
                attempt.sent_on(Line::Http2(stream));
                let answer = http2::Exchange::Begins(sender, request);
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
    ) -> Result<(Response<Incoming>, Option<Box<http2::Upload>>), Failure> {
        let mut until = self.until(started);
        loop {
            match timeout_at(mesh.clock.instant(until).into(), sending.as_mut()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(broken)) => return Err(self.broken(broken, unsent)),
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

    /// Reads why the connection gave no answer. What was not sent goes back to `unsent`.
    fn broken(&self, broken: Broken, unsent: &mut Option<Request<Body>>) -> Failure {
        let upload_broke = self
            .upload
            .is_some_and(|upload| upload.progress() == Progress::Broken);
        *unsent = broken.unsent.map(|request| *request);
        Failure {
            reason: if upload_broke {
                Reason::RequestBody
            } else {
                broken.failure.reason
            },
            ..broken.failure
        }
    }
}

/// Whether an HTTP/2 peer has said that it did not act on the request (RFC 9113, 8.7): it refused the stream, or it
/// goes away and the stream came too late.
fn was_refused(error: &h2::Error) -> bool {
    let is_refusal = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (is_refusal || error.is_go_away())
}

/// Whether it closes the connection in good order.
fn goes_away(error: &h2::Error) -> bool {
    error.is_remote() && error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
}
