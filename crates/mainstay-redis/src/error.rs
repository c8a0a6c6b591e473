//! What can go wrong, whose fault it is, and whether to try again.

use std::sync::Arc;

use mainstay_base::{ErrorKind, Fault, Retryability};
use redis::ErrorKind as Kind;
use redis::ServerErrorKind as Server;

/// Why Redis did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// It cannot be reached, or is not ready. Nothing was changed.
    #[error("Redis cannot be reached: {0}")]
    Unavailable(Arc<str>),
    /// It was asked and did not answer: it may have done it or not.
    #[error("Redis did not answer, so it is not known whether it was done: {0}")]
    UnknownOutcome(Arc<str>),
    /// It has no room. Nothing was changed.
    #[error("Redis has no room: {0}")]
    Full(Arc<str>),
    /// It refuses: who is asking, or what is asked. Nothing was changed.
    #[error("Redis refuses: {0}")]
    Refused(Arc<str>),
}

impl RedisError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) | Self::UnknownOutcome(_) => ErrorKind::Unavailable,
            Self::Full(_) => ErrorKind::Overloaded,
            Self::Refused(_) => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        Fault::Runtime
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable(_) | Self::Full(_) => Retryability::Always,
            Self::UnknownOutcome(_) => Retryability::IfIdempotent,
            Self::Refused(_) => Retryability::Never,
        }
    }
}

impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> Self {
        let reason: Arc<str> = error.to_string().into();
        match error.kind() {
            Kind::Server(
                Server::BusyLoading
                | Server::TryAgain
                | Server::ClusterDown
                | Server::MasterDown
                | Server::NotBusy,
            ) => Self::Unavailable(reason),
            Kind::Server(_) | Kind::Extension if error.code() == Some("OOM") => Self::Full(reason),
            Kind::Server(_)
            | Kind::Extension
            | Kind::AuthenticationFailed
            | Kind::InvalidClientConfig
            | Kind::UnexpectedReturnType
            | Kind::RESP3NotSupported => Self::Refused(reason),
            _ if error.is_connection_refusal() => Self::Unavailable(reason),
            _ => Self::UnknownOutcome(reason),
        }
    }
}
