//! What travels on from a request to the calls that are made for it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The trace, what is left of the caller's patience, and how much the request matters.
const PASSED_ON: [&str; 5] = [
    "traceparent",
    "tracestate",
    "baggage",
    "mainstay-deadline",
    "mainstay-priority",
];

/// The headers that every call made for a request carries on.
#[derive(Clone, Debug, Default)]
pub struct Context(HeaderMap);

impl Context {
    /// For work that no request waits for. When there is not enough for all, the lowest priority goes without: `bulk`,
    /// `low`, `normal`, `critical`.
    pub fn of_priority(priority: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("mainstay-priority", HeaderValue::from_static(priority));
        Self(headers)
    }

    /// The same, for a request that can be repeated without doing its work twice: `key` says which one it is.
    #[must_use]
    pub fn with_idempotency_key(&self, key: &HeaderValue) -> Self {
        let mut headers = self.0.clone();
        headers.insert("idempotency-key", key.clone());
        Self(headers)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let passed_on = PASSED_ON.iter().filter_map(|name| {
            let value = parts.headers.get(*name)?;
            Some((HeaderName::from_static(name), value.clone()))
        });
        Ok(Self(passed_on.collect()))
    }
}
