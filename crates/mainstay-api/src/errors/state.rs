//! What a client is told when state cannot be read or changed: Dapr's codes and words.

use http::StatusCode;
use mainstay_state::{InvalidKey, StateError};
use tonic::Code;

use super::{ApiError, Detail};
use crate::operations::Undone;

/// What failed. Each has Dapr's code and its own words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failed<'a> {
    /// Reading this key.
    Get(&'a str),
    /// Reading many keys.
    BulkGet,
    /// Setting values.
    Save,
    /// Deleting this key.
    Delete(&'a str),
    /// Deleting many keys.
    BulkDelete,
    /// A transaction.
    Transaction,
    /// A query.
    Query,
}

/// There is no state component at all. Only HTTP names the `app`.
pub(crate) fn not_configured(store: &str, app: Option<&str>) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::FailedPrecondition,
        "ERR_STATE_STORE_NOT_CONFIGURED",
        format!("state store {store} is not configured"),
    )
    .detail(Detail::Info("DAPR_STATE_NOT_CONFIGURED", of_app(app)))
}

/// There is no such component, or not for this app. Only HTTP names the `app`.
pub(crate) fn not_found(store: &str, app: Option<&str>) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        "ERR_STATE_STORE_NOT_FOUND",
        format!("state store {store} is not found"),
    )
    .detail(Detail::Info("DAPR_STATE_NOT_FOUND", of_app(app)))
}

fn of_app(app: Option<&str>) -> Vec<(String, String)> {
    let named = app.map(|app| ("appID".to_owned(), app.to_owned()));
    named.into_iter().collect()
}

/// A key that cannot be one.
pub(crate) fn illegal_key(store: &str, key: &str, reason: &InvalidKey) -> ApiError {
    ApiError::malformed(reason.to_string())
        .detail(Detail::Violation(key.to_owned(), reason.to_string()))
        .detail(Detail::Resource("state", store.to_owned()))
        .detail(Detail::Info("DAPR_STATE_ILLEGAL_KEY", Vec::new()))
}

/// A step of a transaction that is neither `upsert` nor `delete`.
pub(crate) fn unknown_operation(operation: &str) -> ApiError {
    ApiError::basic(
        StatusCode::BAD_REQUEST,
        Code::Unimplemented,
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        format!("operation type {operation} not supported"),
    )
}

/// A state change that says something that cannot be, such as a time to live that is no number.
pub(crate) fn invalid_change(store: &str, reason: impl std::fmt::Display) -> ApiError {
    let (code, message) = Failed::Save.told(store, &reason.to_string());
    ApiError::basic(StatusCode::BAD_REQUEST, Code::InvalidArgument, code, message)
}

/// A component did not do what was asked.
pub(crate) fn undone(what: Failed<'_>, store: &str, undone: &Undone<StateError>) -> ApiError {
    match undone {
        Undone::Failed(error) => failed(what, store, error),
        Undone::Late => {
            let (code, message) = what.told(store, &undone.to_string());
            ApiError::basic(StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, code, message)
        }
    }
}

/// A component said that it cannot.
pub(crate) fn failed(what: Failed<'_>, store: &str, error: &StateError) -> ApiError {
    match (what, error) {
        (_, StateError::Unprotected) => super::fence::lost(),
        (Failed::Transaction, StateError::TooManyOperations(count)) => too_many_operations(store, *count),
        (Failed::Query, StateError::QueryUnsupported) => query_unsupported(store, error),
        (Failed::Query, _) => query_failed(store, error),
        // As in Dapr, a transaction does not tell what kind of failure it was.
        (Failed::Transaction, StateError::EtagMismatch { .. } | StateError::InvalidEtag(_)) => {
            let (code, message) = what.told(store, &error.to_string());
            ApiError::basic(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, code, message)
        }
        _ => {
            let (status, grpc) = statuses(error);
            let (code, message) = what.told(store, &error.to_string());
            ApiError::basic(status, grpc, code, message).overload(error.kind())
        }
    }
}

fn too_many_operations(store: &str, count: usize) -> ApiError {
    let most = mainstay_state::limits::MAX_OPERATIONS;
    let metadata = vec![
        ("currentOpsTransaction".to_owned(), count.to_string()),
        ("maxOpsPerTransaction".to_owned(), most.to_string()),
    ];
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
        format!("the transaction contains {count} operations, which is more than what the state store supports: {most}"),
    )
    .detail(Detail::Resource("state", store.to_owned()))
    .detail(Detail::Info("DAPR_STATE_TOO_MANY_TRANSACTIONS", metadata))
}

fn query_unsupported(store: &str, error: &StateError) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::Internal,
        "ERR_STATE_STORE_NOT_SUPPORTED",
        error.to_string(),
    )
    .detail(Detail::Resource("state", store.to_owned()))
    .detail(Detail::Info("DAPR_STATE_QUERYING_NOT_SUPPORTED", Vec::new()))
}

fn query_failed(store: &str, error: &StateError) -> ApiError {
    let (code, message) = Failed::Query.told(store, &error.to_string());
    // What is wrong with a query is the caller's fault, which Dapr tells as its own.
    let (status, grpc) = match error {
        StateError::Query(_) => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        StateError::QueryEncrypted => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        error => statuses(error),
    };
    ApiError::new(status, grpc, code, message)
        .detail(Detail::Resource("state", store.to_owned()))
        .detail(Detail::Info("DAPR_STATE_QUERY_FAILED", Vec::new()))
        .overload(error.kind())
}

fn statuses(error: &StateError) -> (StatusCode, Code) {
    match error {
        StateError::EtagMismatch { .. } => (StatusCode::CONFLICT, Code::Aborted),
        StateError::NotMerged { .. } => (StatusCode::CONFLICT, Code::FailedPrecondition),
        StateError::Elsewhere | StateError::CannotMerge => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        error => super::statuses(error.kind()),
    }
}

impl Failed<'_> {
    /// Dapr's code and message.
    fn told(self, store: &str, reason: &str) -> (&'static str, String) {
        match self {
            Self::Get(key) => (
                "ERR_STATE_GET",
                format!("fail to get {key} from state store {store}: {reason}"),
            ),
            Self::BulkGet => ("ERR_STATE_BULK_GET", reason.to_owned()),
            Self::Save => (
                "ERR_STATE_SAVE",
                format!("failed saving state in state store {store}: {reason}"),
            ),
            Self::Delete(key) => (
                "ERR_STATE_DELETE",
                format!("failed deleting state with key {key}: {reason}"),
            ),
            Self::BulkDelete => (
                "ERR_STATE_BULK_DELETE",
                format!("failed deleting state in state store {store}: {reason}"),
            ),
            Self::Transaction => (
                "ERR_STATE_TRANSACTION",
                format!("error while executing state transaction: {reason}"),
            ),
            Self::Query => (
                "ERR_STATE_QUERY",
                format!("state store {store} query failed: {reason}"),
            ),
        }
    }
}
