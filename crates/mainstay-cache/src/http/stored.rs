//! An answer as it is kept.

use std::sync::Arc;
use std::time::Duration;

use ::http::response::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::answer::{age_at_load, is_not_stored};
use crate::codec::{Codec, Reader, Writer};

/// Bytes that a header takes beside its name and value, roughly.
const HEADER_OVERHEAD_BYTES: usize = 64;

/// A whole answer. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    age_at_load: Duration,
}

impl Stored {
    /// Keeps what belongs to the answer and not to its connection.
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        let age_at_load = age_at_load(&head.headers);
        let mut headers = head.headers;
        let dropped: Vec<_> = headers
            .keys()
            .filter(|name| is_not_stored(name))
            .cloned()
            .collect();
        for name in dropped {
            headers.remove(name);
        }
        Self(Arc::new(Inner {
            status: head.status,
            headers,
            body,
            age_at_load,
        }))
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its headers, as the callee sent them.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// How old it was when it came.
    pub(super) fn age_at_load(&self) -> Duration {
        self.0.age_at_load
    }

    /// The room it takes in bytes, for [`LocalOptions::weigh`](crate::LocalOptions::weigh).
    pub fn weigh(&self) -> usize {
        let headers = self.0.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
        size_of::<Inner>() + headers.sum::<usize>() + self.0.body.len()
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let Inner {
            status,
            headers,
            body,
            ..
        } = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            status: shared.status,
            headers: shared.headers.clone(),
            body: shared.body.clone(),
            age_at_load: shared.age_at_load,
        });
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Writes answers for a store outside the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoredCodec;

impl Codec<Stored> for StoredCodec {
    fn encode(&self, stored: &Stored, writer: &mut Writer) {
        let Inner {
            status,
            headers,
            body,
            age_at_load,
        } = &*stored.0;
        writer.u64(u64::from(status.as_u16()));
        writer.u64(age_at_load.as_secs());
        writer.u64(headers.len() as u64);
        for (name, value) in headers {
            writer.bytes(name.as_str().as_bytes());
            writer.bytes(value.as_bytes());
        }
        writer.bytes(body);
    }

    fn decode(&self, reader: &mut Reader) -> Option<Stored> {
        let status = StatusCode::from_u16(u16::try_from(reader.u64()?).ok()?).ok()?;
        let age_at_load = Duration::from_secs(reader.u64()?);
        let mut headers = HeaderMap::new();
        for _ in 0..reader.u64()? {
            let name = HeaderName::from_bytes(&reader.bytes()?).ok()?;
            let value = HeaderValue::from_maybe_shared(reader.bytes()?).ok()?;
            headers.try_append(name, value).ok()?;
        }
        Some(Stored(Arc::new(Inner {
            status,
            headers,
            body: reader.bytes()?,
            age_at_load,
        })))
    }
}
