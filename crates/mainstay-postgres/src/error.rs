//! What can go wrong, whose fault it is, and whether to try again.

use std::error::Error as _;
use std::sync::Arc;

use mainstay_base::{ErrorKind, Fault, Retryability};
use tokio_postgres::error::SqlState;

/// Why PostgreSQL did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    /// It cannot be reached, or is not ready. Nothing was changed.
    #[error("PostgreSQL cannot be reached: {0}")]
    Unavailable(Arc<str>),
    /// It was asked and did not answer: it may have done it or not.
    #[error("PostgreSQL did not answer, so it is not known whether it was done: {0}")]
    UnknownOutcome(Arc<str>),
    /// It has no room. Nothing was changed.
    #[error("PostgreSQL has no room: {0}")]
    Full(Arc<str>),
    /// A part of what it keeps is damaged. Nothing was changed.
    #[error("PostgreSQL has met damaged data: {0}")]
    Damaged(Arc<str>),
    /// It refuses: who is asking, or what is asked. Nothing was changed.
    #[error("PostgreSQL refuses: {0}")]
    Refused(Arc<str>),
    /// The certificates with which its own is checked cannot be used.
    #[error("the certificates for PostgreSQL cannot be used: {0}")]
    Certificates(Arc<str>),
}

impl PostgresError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) | Self::UnknownOutcome(_) => ErrorKind::Unavailable,
            Self::Full(_) => ErrorKind::Overloaded,
            Self::Refused(_) | Self::Damaged(_) => ErrorKind::Internal,
            Self::Certificates(_) => ErrorKind::InvalidArgument,
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
            Self::Refused(_) | Self::Damaged(_) | Self::Certificates(_) => Retryability::Never,
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        let reason = describe(&error);
        let Some(code) = error.code() else {
            return Self::UnknownOutcome(reason);
        };
        let is_of = |codes: &[SqlState]| codes.contains(code);
        if is_of(&UNSURE) {
            Self::UnknownOutcome(reason)
        } else if is_of(&PASSING) {
            Self::Unavailable(reason)
        } else if is_of(&[SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED]) {
            Self::Damaged(reason)
        } else if code.code().starts_with("53") {
            Self::Full(reason)
        } else {
            Self::Refused(reason)
        }
    }
}

/// The server was told to stop, which can be between its commit and its answer, or cannot tell itself.
const UNSURE: [SqlState; 4] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
    SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
];

/// It did nothing, and may do it later: it starts, has enough to do, waits for others too long, or is a replica for now.
const PASSING: [SqlState; 5] = [
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::QUERY_CANCELED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::READ_ONLY_SQL_TRANSACTION,
];

/// The error with its cause: the outer one alone says little.
pub fn describe(error: &tokio_postgres::Error) -> Arc<str> {
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()).into(),
        (None, Some(source)) => format!("{error}: {source}").into(),
        (None, None) => error.to_string().into(),
    }
}
