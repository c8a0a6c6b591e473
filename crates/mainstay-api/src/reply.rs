//! Answers that the servers make themselves.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use mainstay_mesh::Body;
use serde::Serialize;

use crate::wire::Problem;

/// The header that tells which of the mesh's reasons kept a call from an answer.
pub(crate) static REASON: HeaderName = HeaderName::from_static("mainstay-reason");

/// The header, and the metadata of gRPC, that tells which grant of a lock this is.
pub(crate) static FENCING_TOKEN: HeaderName = HeaderName::from_static("mainstay-fencing-token");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    with_headers(status, HeaderMap::new(), Body::empty())
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    bytes(
        status,
        HeaderValue::from_static("text/plain; charset=utf-8"),
        text,
    )
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    bytes(status, JSON, json_bytes(value))
}

/// An error: `{"errorCode": code, "message": message}`.
pub(crate) fn problem(status: StatusCode, code: &str, message: impl Into<String>) -> Response<Body> {
    json(
        status,
        &Problem {
            error_code: code.to_owned(),
            message: message.into(),
        },
    )
}

/// An answer that is in memory.
pub(crate) fn bytes(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
    with_headers(status, headers, Body::full(body))
}

/// JSON text. Our types have string keys and no failing serialisers, so that writing them cannot fail.
pub(crate) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn with_headers(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
