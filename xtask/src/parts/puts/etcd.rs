//! An etcd, through `etcdserverpb.KV/Put` of its gRPC API.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::{Bytes, BytesMut};

use super::Sink;
use super::grpc::{Unary, message, put_field};

/// Connections to a server.
pub(super) struct Etcd(Unary);

impl Etcd {
    /// Connects.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let put = "/etcdserverpb.KV/Put";
        Ok(Self(Unary::connect(address, put, Vec::new()).await?))
    }
}

impl Sink for Etcd {
    /// Sends a `PutRequest { bytes key = 1; bytes value = 2; }`.
    async fn put(&self, key: String, value: Bytes) -> Result<()> {
        let mut fields = BytesMut::with_capacity(key.len() + value.len() + 8);
        put_field(&mut fields, 1, key.as_bytes());
        put_field(&mut fields, 2, &value);
        self.0.call(message(&fields)).await
    }
}
