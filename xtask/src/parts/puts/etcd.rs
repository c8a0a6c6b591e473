//! An etcd, through `etcdserverpb.KV/Put` of its gRPC API.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Sink;

/// Four clients share one.
const CONNECTIONS: usize = 16;

/// Connections to a server.
pub(super) struct Etcd {
    url: String,
    connections: Vec<SendRequest<Full<Bytes>>>,
    turn: AtomicUsize,
}

impl Etcd {
    /// Connects.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
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
            url: format!("http://{address}/etcdserverpb.KV/Put"),
            connections,
            turn: AtomicUsize::new(0),
        })
    }
}

impl Sink for Etcd {
    async fn put(&self, key: String, value: Bytes) -> Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut connection = self.connections[turn].clone();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(message(key.as_bytes(), &value)))?;
        let response = connection.send_request(request).await?;
        // Without a body, the trailers are in the head.
        let head = response.headers().clone();
        let body = response.into_body().collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers.get("grpc-status").or(head.get("grpc-status"));
        if status.context("etcd gave no status")? != "0" {
            let reason = trailers.get("grpc-message").or(head.get("grpc-message"));
            bail!("etcd refuses: {reason:?}");
        }
        Ok(())
    }
}

/// A `PutRequest { bytes key = 1; bytes value = 2; }` with gRPC's prefix: not compressed, length.
fn message(key: &[u8], value: &[u8]) -> Bytes {
    let mut fields = BytesMut::new();
    for (tag, bytes) in [(0x0A, key), (0x12, value)] {
        fields.put_u8(tag);
        put_varint(&mut fields, bytes.len());
        fields.put_slice(bytes);
    }
    let mut message = BytesMut::with_capacity(5 + fields.len());
    message.put_u8(0);
    message.put_u32(fields.len() as u32);
    message.put_slice(&fields);
    message.freeze()
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
    use super::message;

    #[test]
    fn a_put_is_encoded_as_protobuf() {
        let long = [b'v'; 300];
        let bytes = message(b"ab", &long);
        assert_eq!(bytes[..5], [0, 0, 0, 1, 0x33], "4 + 3 + 300 bytes");
        assert_eq!(bytes[5..9], [0x0A, 2, b'a', b'b']);
        assert_eq!(bytes[9..12], [0x12, 0xAC, 0x02]);
        assert_eq!(bytes[12..], long);
    }
}
