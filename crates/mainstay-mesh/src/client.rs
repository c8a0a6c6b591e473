//! A plain client for everything that is not the call path: probes, the control API, the export of spans.

use std::net::SocketAddr;

use http::{Request, Response};

use crate::Body;

/// Sends one HTTP/1.1 request on a connection of its own. The caller bounds it by dropping the future.
///
/// # Errors
/// When the connection cannot be made or breaks.
pub async fn send(address: SocketAddr, request: Request<Body>) -> std::io::Result<Response<Body>> {
    let _ = (address, request);
    todo!("mesh")
}
