//! What a client is told when settings cannot be read or followed: Dapr's codes and words.

use std::fmt;

use http::StatusCode;
use mainstay_configuration::ConfigurationError;
use tonic::Code;

use super::{ApiError, statuses};
use crate::operations::Undone;

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Reading settings.
    Get,
    /// Following them.
    Subscribe,
}

/// There is no configuration component at all.
pub(crate) fn not_configured() -> ApiError {
    ApiError::basic(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::FailedPrecondition,
        "ERR_CONFIGURATION_STORE_NOT_CONFIGURED",
        "configuration stores not configured",
    )
}

/// There is no such component, or not for this app.
pub(crate) fn not_found(store: &str) -> ApiError {
    ApiError::basic(
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
        "ERR_CONFIGURATION_STORE_NOT_FOUND",
        format!("configuration store {store} not found"),
    )
}

/// There is nobody to be told of changes.
pub(crate) fn no_channel() -> ApiError {
    ApiError::basic(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::FailedPrecondition,
        "ERR_APP_CHANNEL_NIL",
        "app channel is not initialized. cannot subscribe to configuration updates",
    )
}

/// A component did not do what was asked.
pub(crate) fn undone(
    what: Failed,
    store: &str,
    keys: &[String],
    undone: &Undone<ConfigurationError>,
) -> ApiError {
    let kind = undone.kind(ConfigurationError::kind);
    let (status, grpc) = statuses(kind);
    let (code, message) = what.told(store, keys, undone);
    ApiError::basic(status, grpc, code, message).overload(kind)
}

/// The app follows too much.
pub(crate) fn too_many(limit: usize) -> ApiError {
    ApiError::basic(
        StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted,
        "ERR_CONFIGURATION_SUBSCRIBE",
        format!("there are {limit} configuration subscriptions of this app already"),
    )
}

/// Dapr's words for a subscription that cannot be ended.
pub(crate) fn no_subscription(id: &str) -> String {
    format!("failed to unsubscribe to configuration request {id}: subscription does not exist")
}

impl Failed {
    fn told(self, store: &str, keys: &[String], reason: &impl fmt::Display) -> (&'static str, String) {
        let keys = keys.join(" ");
        match self {
            Self::Get => (
                "ERR_CONFIGURATION_GET",
                format!("failed to get [{keys}] from Configuration store {store}: {reason}"),
            ),
            Self::Subscribe => (
                "ERR_CONFIGURATION_SUBSCRIBE",
                format!("failed to subscribe [{keys}] from Configuration store {store}: {reason}"),
            ),
        }
    }
}
