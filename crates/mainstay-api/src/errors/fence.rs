//! What a client is told when the lock that shall protect its change does not. Dapr has no such case: these codes are ours.

use std::time::Duration;

use http::StatusCode;
use mainstay_lock::LockError;
use tonic::Code;

use super::{ApiError, statuses};

/// A change was not made, because its lock is not held.
const NOT_HELD: &str = "ERR_LOCK_NOT_HELD";

/// Nobody is named.
pub(crate) fn no_owner() -> ApiError {
    ApiError::malformed("`mainstay.lock` needs `mainstay.lockOwner` beside it: who has to hold the lock")
}

/// There is no such lock component.
pub(crate) fn no_store(store: &str) -> ApiError {
    super::lock::not_found(store)
}

/// Somebody else holds it, or nobody.
pub(crate) fn not_held(resource: &str, owner: &str) -> ApiError {
    ApiError::basic(
        StatusCode::CONFLICT,
        Code::Aborted,
        NOT_HELD,
        format!("{owner} does not hold the lock {resource}: nothing was changed"),
    )
}

/// It was held, and is not any more.
pub(crate) fn lost() -> ApiError {
    ApiError::basic(
        StatusCode::CONFLICT,
        Code::Aborted,
        NOT_HELD,
        "the lock that protects this change is not held any more: nothing was changed",
    )
}

/// It cannot be found out who holds it.
pub(crate) fn failed(error: &LockError) -> ApiError {
    let (status, grpc) = match error {
        LockError::NoFence => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        error => statuses(error.kind()),
    };
    ApiError::basic(status, grpc, NOT_HELD, error.to_string()).overload(error.kind())
}

/// It is not found out in time.
pub(crate) fn timed_out(limit: Duration) -> ApiError {
    let limit = mainstay_base::format_duration(limit);
    let message = format!("it was not found out within {limit} who holds the lock: nothing was changed");
    ApiError::basic(
        StatusCode::GATEWAY_TIMEOUT,
        Code::DeadlineExceeded,
        NOT_HELD,
        message,
    )
}
