//! A plain client for everything that is not the call path: probes, the control API, the export of spans.

use std::io;
use std::net::SocketAddr;

use http::{Request, Response, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_base::limits::MAX_HEAD_BYTES;

use crate::Body;
use crate::dial::connect;

/// Sends one HTTP/1.1 request on a connection of its own; a missing `host` is added. The answer's head is bounded by
/// [`MAX_HEAD_BYTES`]; its body streams. The caller bounds the time by dropping the future.
///
/// # Errors
/// When the connection cannot be made or breaks, or the answer is no HTTP.
pub async fn send(address: SocketAddr, mut request: Request<Body>) -> io::Result<Response<Body>> {
    let stream = TokioIo::new(connect(address).await?);
    if !request.headers().contains_key(header::HOST) {
        let host = address.to_string().parse().map_err(io::Error::other)?;
        request.headers_mut().insert(header::HOST, host);
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // Ends with the answer's body, or when the caller drops it.
    tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(response.map(Body::from))
}

/// Whether something accepts connections at `address`.
///
/// # Errors
/// Why not.
pub async fn connects(address: SocketAddr) -> io::Result<()> {
    connect(address).await.map(drop)
}
