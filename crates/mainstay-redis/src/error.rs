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
    /// Too much is under way to it. Nothing was sent.
    #[error("Redis is not asked: too many commands are under way")]
    Busy,
    /// It does not know the script of this digest. Nothing was changed.
    #[error("Redis does not know the script")]
    UnknownScript,
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
            Self::Busy | Self::Full(_) => ErrorKind::Overloaded,
            Self::Refused(_) | Self::UnknownScript => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        Fault::Runtime
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable(_) | Self::Busy | Self::Full(_) => Retryability::Always,
            Self::UnknownOutcome(_) => Retryability::IfIdempotent,
            Self::Refused(_) | Self::UnknownScript => Retryability::Never,
        }
    }

    /// What the server, or the way to it, says.
    pub(crate) fn of(server: &str, error: &redis::RedisError) -> Self {
        let reason: Arc<str> = format!("{server}: {error}").into();
        match error.kind() {
            Kind::Server(Server::NoScript) => Self::UnknownScript,
            Kind::Server(
                Server::BusyLoading
                | Server::TryAgain
                | Server::ClusterDown
                | Server::MasterDown
                | Server::NotBusy,
            ) => Self::Unavailable(reason),
            // It leaves its own code out where a script runs into it, on some versions.
            Kind::Server(_) | Kind::Extension
                if error.code() == Some("OOM") || reason.contains("OOM command not allowed") =>
            {
                Self::Full(reason)
            }
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

    /// The same where nothing was sent yet.
    pub(crate) fn unsent(self) -> Self {
        match self {
            Self::UnknownOutcome(reason) => Self::Unavailable(reason),
            other => other,
        }
    }

    /// Whether the connection is of no use any more: it broke, or another server may be the primary now, to which the name
    /// leads.
    pub(crate) fn ends_connection(error: &redis::RedisError) -> bool {
        match error.kind() {
            Kind::Server(Server::ReadOnly | Server::MasterDown) => true,
            Kind::Server(_) | Kind::Extension => false,
            _ => true,
        }
    }
}

/// The server still reads its files.
pub(crate) fn is_starting(error: &redis::RedisError) -> bool {
    error.kind() == Kind::Server(Server::BusyLoading)
}
