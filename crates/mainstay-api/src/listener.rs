//! Accepts connections, hands each to a worker, bounds what a client may do.

mod activity;
mod connection;
mod watchdog;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use mainstay_base::limits;
use mainstay_mesh::{Body, Workers};
use socket2::{SockRef, TcpKeepalive};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::metrics::{Metrics, ServerKind};

/// What a client may do. The defaults are those of `mainstay_base::limits`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request head. More is answered with 431.
    pub head_bytes: usize,
    /// Time from the first byte of a request head to its last. A client that takes longer gets 408 and is cut.
    pub head_timeout: Duration,
    /// A connection on which nothing moves for this long (up to twice this long) is closed: politely between requests,
    /// at once while it does not take its answer. A request whose callee is busy is not idle.
    pub idle_timeout: Duration,
    /// An HTTP/1.1 connection without a request for this long gives its buffers back until something comes. Only after
    /// a request without a body: of one with a body it cannot be known that all of it has come.
    pub park_after: Duration,
    /// Largest request body that is held in memory (bodies that pass through are not).
    pub body_bytes: usize,
    /// Time for a request body that is held in memory.
    pub body_timeout: Duration,
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: limits::MAX_HEAD_BYTES,
            head_timeout: limits::HEAD_TIMEOUT,
            // Longer than what clients keep a pooled connection (90 s in Go, 60 s in most), so that it is the client
            // who closes first and no request meets a closing connection.
            idle_timeout: Duration::from_mins(3),
            park_after: Duration::from_secs(1),
            body_bytes: limits::MAX_BODY_BYTES,
            body_timeout: Duration::from_secs(30),
            connections: limits::MAX_CONNECTIONS,
            streams: 1024,
        }
    }
}

/// Answers the requests of a listener.
pub(crate) trait Handler: Send + Sync + 'static {
    /// What belongs to one connection.
    type Session: Clone + Send + Sync + 'static;

    /// Begins to answer `peer` on a connection.
    fn session(&self, peer: SocketAddr) -> Self::Session;

    /// Answers one request.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        session: Self::Session,
    ) -> impl Future<Output = Response<Body>> + Send + 'static;
}

/// Where connections are served.
pub(crate) enum Runs {
    /// On the threads of the data plane, because nearly everything that comes in goes through it.
    OnWorkers(Workers),
    /// On the runtime that accepts, so that it answers also when the data plane has too much to do.
    WhereAccepted,
}

impl Runs {
    fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::OnWorkers(workers) => workers.spawn(make),
            Self::WhereAccepted => {
                tokio::spawn(make());
            }
        }
    }
}

/// How far a server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Open,
    /// No new connections; running requests end.
    Draining,
    /// What is left is cut.
    Cut,
}

/// What all connections of a listener share.
struct Shared<H> {
    handler: Arc<H>,
    limits: Limits,
    metrics: Metrics,
    kind: ServerKind,
}

/// A listening server; dropping it stops accepting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    slots: Arc<Semaphore>,
    capacity: u32,
    accept: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets running requests end, cuts what is left after `limit`. Upgraded connections count
    /// as running; those that outlive `limit` end with the data plane.
    pub async fn stop(self, limit: Duration) {
        self.phase.send_replace(Phase::Draining);
        if tokio::time::timeout(limit, self.all_closed()).await.is_err() {
            self.phase.send_replace(Phase::Cut);
            // Cutting only needs each connection's task to run once more.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.all_closed()).await;
        }
    }

    /// Resolves when the last connection has given its slot back.
    async fn all_closed(&self) {
        let _ = self.slots.acquire_many(self.capacity).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// Serves `handler` on `listener`. It accepts on the present runtime.
pub(crate) fn serve<H: Handler>(
    listener: TcpListener,
    runs: Runs,
    handler: H,
    (kind, limits, metrics): (ServerKind, Limits, Metrics),
) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (phase, receiver) = watch::channel(Phase::Open);
    let capacity = u32::try_from(limits.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let slots = Arc::new(Semaphore::new(capacity as usize));
    let shared = Arc::new(Shared {
        handler: Arc::new(handler),
        limits,
        metrics,
        kind,
    });
    let accept = tokio::spawn(accept(listener, runs, shared, Arc::clone(&slots), receiver));
    Ok(Server {
        address,
        phase,
        slots,
        capacity,
        accept,
    })
}

/// How long accepting rests when the operating system has no more file descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection of another machine is silent before the operating system asks whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

async fn accept<H: Handler>(
    listener: tokio::net::TcpListener,
    runs: Runs,
    shared: Arc<Shared<H>>,
    slots: Arc<Semaphore>,
    mut phase: watch::Receiver<Phase>,
) {
    let accept_one = async || -> io::Result<(std::net::TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if !peer.ip().is_loopback() {
            // Finds clients that vanished while they waited for an answer or for the next event.
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok((stream.into_std()?, peer, slot))
    };
    let mut exhausted = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.changed() => return,
            accepted = accept_one() => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                exhausted = false;
                let (shared, phase) = (Arc::clone(&shared), phase.clone());
                runs.spawn(move || connection::serve(stream, peer, shared, slot, phase));
            }
            // The client left between its handshake and our accept.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // Said once, not ten times a second for as long as it lasts.
                if !std::mem::replace(&mut exhausted, true) {
                    tracing::warn!(%error, "cannot accept connections now; trying again");
                }
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Interrupted
    )
}
