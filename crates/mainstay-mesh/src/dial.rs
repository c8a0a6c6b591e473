//! Opening connections: the one place that dials.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::origin::{External, Place};
use crate::socket::Socket;
use crate::tls::{self, Offer};
use crate::topology::CONNECT_TIMEOUT;
use crate::{Body, http2};

/// The most bytes that an HTTP/1.1 connection buffers, and so the largest head of an answer.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A connection that requests can be sent on. Its other half runs as a task of the runtime that opened it and ends when
/// this half is dropped or the peer closes.
#[derive(Debug)]
pub(crate) enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at a time.
    Http2(http2::Sender),
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Requests of HTTP/1.1, or of HTTP/2 where TLS agrees on it.
    Any,
    /// Requests of HTTP/2: gRPC needs it.
    Http2,
    /// One request of HTTP/1.1 that may turn the connection into another protocol.
    Upgrade,
}

/// Opens a connection. Must run on the worker that is to drive it.
pub(crate) async fn open(place: Place, intent: Intent) -> io::Result<Connection> {
    match place {
        Place::App(address) => {
            let stream = Socket(connect(address).await?);
            handshake(stream, intent, intent == Intent::Http2).await
        }
        Place::External(external) => open_external(&external, intent).await,
    }
}

async fn open_external(external: &Arc<External>, intent: Intent) -> io::Result<Connection> {
    let stream = external.connect().await?;
    if !external.tls {
        return handshake(Socket(stream), intent, intent == Intent::Http2).await;
    }
    let offer = match intent {
        Intent::Any => Offer::Both,
        Intent::Http2 => Offer::Http2,
        Intent::Upgrade => Offer::Http1,
    };
    let stream = tls::secure(stream, &external.host, offer, external.client_tls.as_ref()).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
    handshake(stream, intent, http2).await
}

async fn handshake<S>(stream: S, intent: Intent, http2: bool) -> io::Result<Connection>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    if http2 {
        let sender = http2::handshake(stream).await.map_err(io::Error::other)?;
        return Ok(Connection::Http2(sender));
    }
    let stream = TokioIo::new(stream);
    handshake_http1(stream, intent).await.map_err(io::Error::other)
}

async fn handshake_http1<S>(stream: S, intent: Intent) -> hyper::Result<Connection>
where
    S: Read + Write + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    let (sender, connection) = builder.max_buf_size(MAX_BUFFER_BYTES).handshake(stream).await?;
    // A connection that breaks tells the request on it; there is nobody else to tell.
    if intent == Intent::Upgrade {
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
    } else {
        tokio::spawn(async move { drop(connection.await) });
    }
    Ok(Connection::Http1(sender))
}

/// Opens a TCP connection. Bounded by [`CONNECT_TIMEOUT`].
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the dial site that the fence points to"
    )]
    let connecting = TcpStream::connect(address);
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
