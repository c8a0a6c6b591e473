//! Unary calls over a few HTTP/2 connections, as many clients of one process make them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Four clients share one.
const CONNECTIONS: usize = 16;

/// Connections to a method of a server.
pub(super) struct Unary {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    connections: Vec<SendRequest<Full<Bytes>>>,
    turn: AtomicUsize,
}

impl Unary {
    /// Connects. `method` is `/package.Service/Method`.
    pub(super) async fn connect(
        address: SocketAddr,
        method: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self> {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            // It ends with the sender; who sends is told of errors.
            tokio::spawn(connection);
            connections.push(sender);
        }
        Ok(Self {
            url: format!("http://{address}{method}"),
            headers,
            connections,
            turn: AtomicUsize::new(0),
        })
    }

    /// Calls with this message and waits until it went well.
    pub(super) async fn call(&self, message: Bytes) -> Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut connection = self.connections[turn].clone();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = connection.send_request(request.body(Full::new(message))?).await?;
        // Without a body, the trailers are in the head.
        let head = response.headers().clone();
        let body = response.into_body().collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers.get("grpc-status").or(head.get("grpc-status"));
        if status.context("the server gave no status")? != "0" {
            let reason = trailers.get("grpc-message").or(head.get("grpc-message"));
            bail!("the server refuses: {reason:?}");
        }
        Ok(())
    }
}

/// A message with gRPC's prefix: not compressed, length.
pub(super) fn message(fields: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(5 + fields.len());
    message.put_u8(0);
    message.put_u32(fields.len() as u32);
    message.put_slice(fields);
    message.freeze()
}

/// Adds a field of bytes, a text or a message in protobuf's encoding.
pub(super) fn put_field(into: &mut BytesMut, number: u8, bytes: &[u8]) {
    into.put_u8(number << 3 | 2);
    put_varint(into, bytes.len());
    into.put_slice(bytes);
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit set.
fn put_varint(into: &mut BytesMut, mut number: usize) {
    while number >= 0x80 {
        into.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    into.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_protobuf() {
        let long = [b'v'; 300];
        let mut fields = BytesMut::new();
        put_field(&mut fields, 1, b"ab");
        put_field(&mut fields, 2, &long);
        let bytes = message(&fields);
        assert_eq!(bytes[..5], [0, 0, 0, 1, 0x33], "4 + 3 + 300 bytes");
        assert_eq!(bytes[5..9], [0x0A, 2, b'a', b'b']);
        assert_eq!(bytes[9..12], [0x12, 0xAC, 0x02]);
        assert_eq!(bytes[12..], long);
    }
}
