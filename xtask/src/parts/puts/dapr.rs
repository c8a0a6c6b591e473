//! Mainstay's state as an app uses it, through `dapr.proto.runtime.v1.Dapr/SaveState`.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::Sink;
use super::grpc::{Unary, message, put_field};
use crate::parts::STORE;

/// Connections to a sidecar's port.
pub(super) struct Dapr(Unary);

impl Dapr {
    /// Connects.
    pub(super) async fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let token = (
            HeaderName::from_static("dapr-api-token"),
            HeaderValue::from_str(token)?,
        );
        let save = "/dapr.proto.runtime.v1.Dapr/SaveState";
        Ok(Self(Unary::connect(address, save, vec![token]).await?))
    }
}

impl Sink for Dapr {
    /// Sends a `SaveStateRequest { string store_name = 1; repeated StateItem states = 2; }` of one
    /// `StateItem { string key = 1; bytes value = 2; }`.
    async fn put(&self, key: String, value: Bytes) -> Result<()> {
        let mut item = BytesMut::with_capacity(key.len() + value.len() + 8);
        put_field(&mut item, 1, key.as_bytes());
        put_field(&mut item, 2, &value);
        let mut fields = BytesMut::with_capacity(item.len() + 32);
        put_field(&mut fields, 1, STORE.as_bytes());
        put_field(&mut fields, 2, &item);
        self.0.call(message(&fields)).await
    }
}
