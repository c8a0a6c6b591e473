//! Opening connections: the one place that dials.

use std::io;
use std::net::SocketAddr;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::Body;
use crate::topology::CONNECT_TIMEOUT;

/// The most bytes that a connection buffers, and so the largest answer head.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A connection that requests can be sent on. Its other half runs as a task of the runtime that opened it and ends when
/// this half is dropped or the peer closes.
#[derive(Debug)]
pub(crate) enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Body>),
    /// Many at a time.
    Http2(http2::SendRequest<Body>),
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

/// Opens an HTTP/1.1 connection to an app.
pub(crate) async fn http1(address: SocketAddr) -> io::Result<Connection> {
    let stream = TokioIo::new(connect(address).await?);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // A connection that breaks tells the request on it; there is nobody else to tell.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http1(sender))
}

/// Opens an HTTP/1.1 connection to an app for one request that may turn it into another protocol.
pub(crate) async fn http1_for_upgrade(address: SocketAddr) -> io::Result<Connection> {
    let stream = TokioIo::new(connect(address).await?);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BUFFER_BYTES)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    Ok(Connection::Http1(sender))
}

/// Opens an HTTP/2 connection with prior knowledge to an app.
pub(crate) async fn http2(address: SocketAddr) -> io::Result<Connection> {
    let stream = TokioIo::new(connect(address).await?);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http2(sender))
}
