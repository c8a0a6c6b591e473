//! What a client is told when a secret cannot be read: Dapr's codes and words.

use http::StatusCode;
use mainstay_secrets::SecretsError;
use tonic::Code;

use super::{ApiError, statuses};
use crate::operations::Undone;

/// There is no secret component at all.
pub(crate) fn not_configured() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::FailedPrecondition,
        "ERR_SECRET_STORES_NOT_CONFIGURED",
        "secret store is not configured",
    )
}

/// There is no such component, or not for this app. Dapr answers 401 so that nobody can find out which.
pub(crate) fn not_found(store: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        Code::InvalidArgument,
        "ERR_SECRET_STORE_NOT_FOUND",
        format!("failed finding secret store with key {store}"),
    )
}

/// The app may not read this secret.
pub(crate) fn denied(store: &str, name: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        Code::PermissionDenied,
        "ERR_PERMISSION_DENIED",
        format!("access denied by policy to get {name:?} from {store:?}"),
    )
}

/// A component did not do what was asked: of one secret, or of all.
pub(crate) fn undone(store: &str, name: Option<&str>, undone: &Undone<SecretsError>) -> ApiError {
    let kind = undone.kind(SecretsError::kind);
    let (status, grpc) = match undone {
        // As Dapr tells whatever keeps a component from giving a secret.
        Undone::Failed(SecretsError::NotFound(_) | SecretsError::Forbidden(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal)
        }
        _ => statuses(kind),
    };
    let message = told(store, name, &undone.to_string());
    ApiError::new(status, grpc, "ERR_SECRET_GET", message).overload(kind)
}

fn told(store: &str, name: Option<&str>, reason: &str) -> String {
    match name {
        Some(name) => format!("failed getting secret with key {name} from secret store {store}: {reason}"),
        None => format!("failed getting secrets from secret store {store}: {reason}"),
    }
}
