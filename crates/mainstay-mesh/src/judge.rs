//! Reading outcomes: what an answer says about the callee, and whether another attempt may help.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use mainstay_policy::Outcome;
use mainstay_policy::retry::RetryOn;

use crate::Protocol;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set by a callee on an answer that must not be tried again.
const DO_NOT_RETRY: HeaderName = HeaderName::from_static("mainstay-do-not-retry");

const NOT_IMPLEMENTED: u16 = 501;
const VERSION_NOT_SUPPORTED: u16 = 505;

/// A gRPC status code; [`grpc`] names those that mean something here.
pub(crate) type GrpcCode = u16;

/// Codes of the gRPC specification ("Status codes and their use in gRPC").
pub(crate) mod grpc {
    use super::GrpcCode;

    pub(crate) const UNKNOWN: GrpcCode = 2;
    pub(crate) const DEADLINE_EXCEEDED: GrpcCode = 4;
    pub(crate) const PERMISSION_DENIED: GrpcCode = 7;
    pub(crate) const RESOURCE_EXHAUSTED: GrpcCode = 8;
    pub(crate) const UNIMPLEMENTED: GrpcCode = 12;
    pub(crate) const INTERNAL: GrpcCode = 13;
    pub(crate) const UNAVAILABLE: GrpcCode = 14;
    pub(crate) const DATA_LOSS: GrpcCode = 15;
    pub(crate) const UNAUTHENTICATED: GrpcCode = 16;
}

/// The status of an answer in the terms of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The status code of an HTTP answer.
    Http(StatusCode),
    /// The code of a gRPC answer.
    Grpc(GrpcCode),
    /// A gRPC answer whose code comes with its trailers.
    GrpcPending,
}

impl Status {
    /// Reads the head of an answer.
    pub(crate) fn of_head(protocol: Protocol, status: StatusCode, headers: &HeaderMap) -> Self {
        if protocol == Protocol::Http {
            return Self::Http(status);
        }
        match grpc_code(headers) {
            Some(code) => Self::Grpc(code),
            None if status.is_success() => Self::GrpcPending,
            // Something in between answered that speaks no gRPC; the same table as gRPC's own clients use.
            None => Self::Grpc(match status.as_u16() {
                400 => grpc::INTERNAL,
                401 => grpc::UNAUTHENTICATED,
                403 => grpc::PERMISSION_DENIED,
                404 => grpc::UNIMPLEMENTED,
                429 | 502..=504 => grpc::UNAVAILABLE,
                _ => grpc::UNKNOWN,
            }),
        }
    }

    /// Reads the trailers of a gRPC answer. One that ends without a code has failed.
    pub(crate) fn of_trailers(trailers: Option<&HeaderMap>) -> Self {
        Self::Grpc(trailers.and_then(grpc_code).unwrap_or(grpc::UNKNOWN))
    }

    /// What it says about the callee.
    pub(crate) fn outcome(self, headers: &HeaderMap) -> Outcome {
        match self {
            Self::Grpc(grpc::RESOURCE_EXHAUSTED) => Outcome::Rejected,
            Self::Grpc(
                grpc::UNKNOWN
                | grpc::DEADLINE_EXCEEDED
                | grpc::INTERNAL
                | grpc::UNAVAILABLE
                | grpc::DATA_LOSS,
            ) => failed(headers),
            Self::Grpc(_) | Self::GrpcPending => Outcome::Success,
            Self::Http(status) => http_outcome(status, headers),
        }
    }

    /// Whether the callee offers what it was asked for. One that does not works as it should all the same.
    pub(crate) fn is_offered(self) -> bool {
        match self {
            Self::Http(status) => !matches!(status.as_u16(), NOT_IMPLEMENTED | VERSION_NOT_SUPPORTED),
            Self::Grpc(code) => code != grpc::UNIMPLEMENTED,
            Self::GrpcPending => true,
        }
    }

    /// Whether the callee says that it cannot serve now (RFC 9110, 15.6.4: overload or maintenance).
    pub(crate) fn is_unavailable(self) -> bool {
        matches!(
            self,
            Self::Http(StatusCode::SERVICE_UNAVAILABLE) | Self::Grpc(grpc::UNAVAILABLE)
        )
    }

    /// Whether `retry_on` names it.
    pub(crate) fn is_retried(self, retry_on: &RetryOn) -> bool {
        match self {
            Self::Http(status) => retry_on.http(status.as_u16()),
            Self::Grpc(code) => retry_on.grpc(code),
            Self::GrpcPending => false,
        }
    }
}

fn http_outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status.as_u16() {
        429 => Outcome::Rejected,
        503 if headers.contains_key(RETRY_AFTER) => Outcome::Rejected,
        NOT_IMPLEMENTED | VERSION_NOT_SUPPORTED => Outcome::Success,
        500.. => failed(headers),
        _ => Outcome::Success,
    }
}

fn failed(headers: &HeaderMap) -> Outcome {
    if headers.contains_key(DO_NOT_RETRY) {
        Outcome::Rejected
    } else {
        Outcome::Failure
    }
}

fn grpc_code(headers: &HeaderMap) -> Option<GrpcCode> {
    headers.get(GRPC_STATUS).map(|value| {
        let text = value.to_str().ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(grpc::UNKNOWN)
    })
}

/// Whether doing it twice is as good as once: by its method (RFC 9110, 9.2.2), or because the caller gave a key by
/// which the callee recognises it. A gRPC call is a POST and so needs the key.
pub(crate) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    method.is_idempotent() || headers.contains_key(IDEMPOTENCY_KEY)
}

/// Whether an answer is a stream that may stay open for as long as it likes.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::tests::headers;

    #[track_caller]
    fn check(protocol: Protocol, code: u16, pairs: &[(&'static str, &'static str)], expected: Outcome) {
        let (status, headers) = (StatusCode::from_u16(code).unwrap(), headers(pairs));
        let outcome = Status::of_head(protocol, status, &headers).outcome(&headers);
        assert_eq!(outcome, expected, "{protocol:?} {code} {pairs:?}");
    }

    #[test]
    fn http_answers() {
        for code in [200, 204, 301, 400, 404, 409, 501, 505] {
            check(Protocol::Http, code, &[], Outcome::Success);
        }
        for code in [500, 502, 503, 504, 507] {
            check(Protocol::Http, code, &[], Outcome::Failure);
        }
        check(Protocol::Http, 429, &[], Outcome::Rejected);
        check(Protocol::Http, 503, &[("retry-after", "1")], Outcome::Rejected);
        check(
            Protocol::Http,
            500,
            &[("mainstay-do-not-retry", "1")],
            Outcome::Rejected,
        );
    }

    #[test]
    fn grpc_answers() {
        check(Protocol::Grpc, 200, &[], Outcome::Success);
        for code in ["0", "1", "3", "5", "12", "16"] {
            check(Protocol::Grpc, 200, &[("grpc-status", code)], Outcome::Success);
        }
        for code in ["2", "4", "13", "14", "15", "x"] {
            check(Protocol::Grpc, 200, &[("grpc-status", code)], Outcome::Failure);
        }
        check(Protocol::Grpc, 200, &[("grpc-status", "8")], Outcome::Rejected);
        check(Protocol::Grpc, 503, &[], Outcome::Failure);
        let nothing = HeaderMap::new();
        assert_eq!(Status::of_trailers(None).outcome(&nothing), Outcome::Failure);
        let good = headers(&[("grpc-status", "0")]);
        assert_eq!(
            Status::of_trailers(Some(&good)).outcome(&nothing),
            Outcome::Success
        );
    }

    #[test]
    fn idempotent_calls() {
        let nothing = HeaderMap::new();
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            assert!(is_idempotent(&method, &nothing), "{method}");
        }
        assert!(!is_idempotent(&Method::POST, &nothing) && !is_idempotent(&Method::PATCH, &nothing));
        assert!(is_idempotent(
            &Method::POST,
            &headers(&[("idempotency-key", "7")])
        ));
    }
}
