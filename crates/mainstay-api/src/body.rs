//! Bodies that are held in memory: bounded in size and in time.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mainstay_mesh::Body;

use crate::reply;

/// A body that could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than this many bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It took longer than this.
    #[error("the body did not arrive within {}", mainstay_base::format_duration(*.0))]
    Timeout(Duration),
    /// It broke off.
    #[error("failed to read request body: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl BodyError {
    /// The answer to a request with such a body.
    pub(crate) fn answer(&self) -> Response<Body> {
        let (status, code) = match self {
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "ERR_BODY_TOO_LARGE"),
            Self::Timeout(_) => (StatusCode::REQUEST_TIMEOUT, "ERR_REQUEST_TIMEOUT"),
            Self::Broken(_) => (StatusCode::BAD_REQUEST, "ERR_BODY_READ"),
        };
        reply::problem(status, code, self.to_string())
    }
}

/// Reads a body whole, at most `limit_bytes` of it within `limit`.
///
/// # Errors
/// When it is larger, slower, or breaks off.
pub(crate) async fn read(body: Body, limit_bytes: usize, limit: Duration) -> Result<Bytes, BodyError> {
    // What announces its length is refused before it is sent.
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(BodyError::TooLarge(limit_bytes));
    }
    let collecting = Limited::new(body, limit_bytes).collect();
    match tokio::time::timeout(limit, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(limit_bytes)),
        Ok(Err(error)) => Err(BodyError::Broken(error)),
        Err(_) => Err(BodyError::Timeout(limit)),
    }
}
