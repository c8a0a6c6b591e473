//! What travels on from a request to the calls that are made for it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// The trace, and how much the request matters.
const PASSED_ON: [&str; 4] = ["traceparent", "tracestate", "baggage", "mainstay-priority"];
/// How long the caller still waits, in milliseconds.
const DEADLINE: HeaderName = HeaderName::from_static("mainstay-deadline-ms");

/// What every call made for a request carries on.
#[derive(Clone, Debug, Default)]
pub struct Context {
    headers: HeaderMap,
    deadline: Option<Instant>,
}

impl Context {
    /// For work that no request waits for. When there is not enough for all, the lowest priority goes without: `bulk`,
    /// `low`, `normal`, `critical`.
    pub fn of_priority(priority: &'static str) -> Self {
        let mut context = Self::default();
        let priority = HeaderValue::from_static(priority);
        context.headers.insert("mainstay-priority", priority);
        context
    }

    /// The same, for a request that can be repeated without doing its work twice: `key` says which one it is.
    #[must_use]
    pub fn with_idempotency_key(&self, key: &HeaderValue) -> Self {
        let mut context = self.clone();
        context.headers.insert("idempotency-key", key.clone());
        context
    }

    /// The headers of a call that is made now.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            headers.insert(DEADLINE, HeaderValue::from(left.as_millis() as u64));
        }
        headers
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let passed_on = PASSED_ON.iter().filter_map(|name| {
            let value = parts.headers.get(*name)?;
            Some((HeaderName::from_static(name), value.clone()))
        });
        let left = parts.headers.get(DEADLINE).and_then(|left| left.to_str().ok());
        let left = left.and_then(|left| left.parse().ok()).map(Duration::from_millis);
        Ok(Self {
            headers: passed_on.collect(),
            deadline: left.and_then(|left| Instant::now().checked_add(left)),
        })
    }
}
