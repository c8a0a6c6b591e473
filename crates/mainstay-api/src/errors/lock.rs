//! What a client is told when a lock cannot be taken or given back: Dapr's codes and words.

use std::fmt;

use http::StatusCode;
use mainstay_lock::LockError;
use tonic::Code;

use super::{ApiError, statuses};
use crate::operations::Undone;

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Taking a lock.
    TryLock,
    /// Giving it back.
    Unlock,
}

/// There is no lock component at all.
pub(crate) fn not_configured() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::FailedPrecondition,
        "ERR_LOCK_STORE_NOT_CONFIGURED",
        "lock store is not configured",
    )
}

/// There is no such component, or not for this app.
pub(crate) fn not_found(store: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        "ERR_LOCK_STORE_NOT_FOUND",
        format!("lock store {store} not found"),
    )
}

/// A part of the request that must be there is not.
pub(crate) fn missing(what: &str, store: &str) -> ApiError {
    ApiError::malformed(format!("{what} in lock store {store}"))
}

/// A component did not do what was asked.
pub(crate) fn undone(what: Failed, undone: &Undone<LockError>) -> ApiError {
    let kind = undone.kind(LockError::kind);
    let (status, grpc) = statuses(kind);
    let (code, message) = what.told(undone);
    ApiError::new(status, grpc, code, message).overload(kind)
}

impl Failed {
    fn told(self, reason: &impl fmt::Display) -> (&'static str, String) {
        match self {
            Self::TryLock => ("ERR_TRY_LOCK", format!("failed to try acquiring lock: {reason}")),
            Self::Unlock => ("ERR_UNLOCK", format!("failed to release lock: {reason}")),
        }
    }
}
