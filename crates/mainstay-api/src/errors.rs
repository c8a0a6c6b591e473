//! What a client is told of what went wrong, over HTTP and over gRPC: here for calls, beneath for building blocks.

mod api_error;
pub(crate) mod configuration;
mod details;
pub(crate) mod fence;
pub(crate) mod lock;
pub(crate) mod secrets;
pub(crate) mod state;

use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use mainstay_mesh::{Body, CallError, Reason};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::reply;

use self::api_error::statuses;
pub(crate) use self::api_error::{ApiError, Detail};

/// Dapr's code for everything that goes wrong in an invocation.
pub(crate) const DIRECT_INVOKE: &str = "ERR_DIRECT_INVOKE";

/// How a cause is told.
struct Told {
    /// On the Dapr API. Dapr's status where Dapr knows the case, ours where it does not.
    dapr: u16,
    /// At the front door, as gateways do.
    gateway: u16,
    /// Of a gRPC call that is passed through.
    code: Code,
    /// At the front door, in words that give nothing away.
    public: &'static str,
}

const fn told(reason: Reason) -> Told {
    let (dapr, gateway, code, public) = match reason {
        // What Dapr has: whatever keeps it from an answer is 500, a refusal by policy 403.
        Reason::UnknownTarget => (500, 502, Code::NotFound, "the service does not exist"),
        Reason::NotAllowed => (403, 403, Code::PermissionDenied, "this is not allowed"),
        Reason::InvalidRequest => (500, 400, Code::InvalidArgument, "the request is malformed"),
        Reason::NoReplica => (500, 503, Code::Unavailable, "the service is not running"),
        Reason::ConnectFailed => (500, 502, Code::Unavailable, "the service cannot be reached"),
        Reason::Broken => (500, 502, Code::Unavailable, "the service broke off"),
        Reason::Garbage => (500, 502, Code::Unavailable, "the service gave no valid answer"),
        Reason::Internal => (500, 500, Code::Internal, "something is wrong here"),
        // What Dapr does not have.
        Reason::RequestBody => (400, 400, Code::InvalidArgument, "the request body is incomplete"),
        Reason::Expired => (504, 504, Code::DeadlineExceeded, "the deadline had passed"),
        Reason::DeadlineExceeded => (504, 504, Code::DeadlineExceeded, "the deadline has passed"),
        Reason::AttemptTimeout => (504, 504, Code::DeadlineExceeded, "the service took too long"),
        Reason::BreakerOpen => (503, 503, Code::Unavailable, "the service is recovering"),
        Reason::Shed => (503, 503, Code::ResourceExhausted, "there are too many requests"),
    };
    Told {
        dapr,
        gateway,
        code,
        public,
    }
}

/// The answer on the Dapr API to an invocation of `id` that failed.
pub(crate) fn invocation_failed(id: &str, error: &CallError) -> Response<Body> {
    let message = invocation_message(id, error);
    answer(told(error.reason).dapr, message, error)
}

/// Dapr's words for an invocation of `id` that failed.
pub(crate) fn invocation_message(id: &str, error: &impl fmt::Display) -> String {
    format!("failed to invoke, id: {id}, err: {error}")
}

/// The answer at the front door to a request that failed. What exactly happened is in the metrics and the trace.
pub(crate) fn request_failed(error: &CallError) -> Response<Body> {
    let told = told(error.reason);
    answer(told.gateway, told.public.to_owned(), error)
}

fn answer(status: u16, message: String, error: &CallError) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = reply::problem(status, DIRECT_INVOKE, message);
    let headers = response.headers_mut();
    headers.insert(&reply::REASON, HeaderValue::from_static(error.reason.as_str()));
    if let Some(after) = error.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
    }
    response
}

/// The status of a gRPC call that was passed through and failed on the way.
pub(crate) fn call_status(error: &CallError) -> Status {
    status(told(error.reason).code, error.to_string(), error)
}

/// The status of a gRPC request at the front door that failed.
pub(crate) fn request_status(error: &CallError) -> Status {
    let told = told(error.reason);
    status(told.code, told.public.to_owned(), error)
}

/// The status of `InvokeService` for an invocation of `id` that failed: `Internal` wherever Dapr has the case.
pub(crate) fn invocation_status(id: &str, error: &CallError) -> Status {
    let told = told(error.reason);
    let code = if told.dapr == 500 {
        Code::Internal
    } else {
        told.code
    };
    status(code, invocation_message(id, error), error)
}

fn status(code: Code, message: String, error: &CallError) -> Status {
    let reason = error.reason.as_str();
    let mut details = vec![details::error_info(&reason.to_ascii_uppercase(), [])];
    details.extend(error.retry_after.map(details::retry_info));
    let mut status = details::status(code, message, details);
    let metadata = status.metadata_mut();
    metadata.insert(reply::REASON.as_str(), MetadataValue::from_static(reason));
    if let Some(after) = error.retry_after {
        // When a gRPC client that retries by itself shall do so (gRFC A6).
        let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        metadata.insert("grpc-retry-pushback-ms", MetadataValue::from(millis));
    }
    status
}

/// Longest text that Dapr puts into the metadata of an `ErrorInfo`.
const MAX_METADATA_BYTES: usize = 63;

/// The status of `InvokeService` when the app answered with this HTTP status and body.
pub(crate) fn app_status(status: StatusCode, body: &[u8]) -> Status {
    app_error(status, &String::from_utf8_lossy(body))
}

/// The status of a gRPC call without the right token, in Dapr's words.
pub(crate) fn unauthenticated(message: &str) -> Status {
    app_error(StatusCode::UNAUTHORIZED, message)
}

fn app_error(status: StatusCode, message: &str) -> Status {
    let text = status.canonical_reason().unwrap_or_default();
    let message = message.get(..message.floor_char_boundary(MAX_METADATA_BYTES));
    let metadata = [
        ("http.code", status.as_u16().to_string()),
        ("http.error_message", message.unwrap_or_default().to_owned()),
    ];
    let details = vec![details::error_info(text, metadata)];
    details::status(grpc_code(status), text.to_owned(), details)
}

/// `retry-after` knows whole seconds only (RFC 9110, 10.2.3): rounded up, so that nobody comes back too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The HTTP status for a gRPC code, as Dapr maps them (`HTTPStatusFromCode`).
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The gRPC code for an app's HTTP status, as Dapr maps them (`CodeFromHTTPStatus`).
pub(crate) fn grpc_code(status: StatusCode) -> Code {
    match status.as_u16() {
        200..=299 => Code::Ok,
        408 => Code::Cancelled,
        400 => Code::Internal,
        504 => Code::DeadlineExceeded,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        403 => Code::PermissionDenied,
        401 => Code::Unauthenticated,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests;
