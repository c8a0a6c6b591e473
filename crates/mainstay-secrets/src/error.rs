//! What can go wrong, whose fault it is, and whether to try again. No value is ever part of it.

use std::path::PathBuf;

use mainstay_base::{ErrorKind, Fault, Retryability};
use mainstay_store::{CommitError, ReadError};

use crate::limits::{MAX_SECRET_BYTES, MAX_SECRET_NAME_BYTES, MAX_SECRETS, MAX_VALUES};

/// Why a component did not do what was asked. Unless said otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// There is no such secret.
    #[error("secret {0} not found")]
    NotFound(String),
    /// A variable that no app may read.
    #[error("access to env var {0} is forbidden")]
    Forbidden(String),
    /// A name of so many bytes.
    #[error("the name of a secret has {0} bytes: it needs 1 to {MAX_SECRET_NAME_BYTES}")]
    InvalidName(usize),
    /// A secret of so many bytes.
    #[error("the secret {name} has {bytes} bytes: {MAX_SECRET_BYTES} at most")]
    LargeSecret {
        /// Its name.
        name: String,
        /// The bytes of its names and values.
        bytes: usize,
    },
    /// No values, or too many.
    #[error("the secret {name} has {values} values: it needs 1 to {MAX_VALUES}")]
    ValueCount {
        /// Its name.
        name: String,
        /// How many it has.
        values: usize,
    },
    /// The component holds more than can be read at once.
    #[error("the secret store has more than {MAX_SECRETS} secrets: read them by their names")]
    TooManySecrets,
    /// The file of secrets cannot be used.
    #[error("{}: {reason}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and where. Never what stands there.
        reason: String,
    },
    /// Sealed with a key that is not in use.
    #[error(
        "the secret {name} was sealed with the key {sealed_with}, which is none of those in use ({in_use}): add it as an old key"
    )]
    UnknownKey {
        /// Its name.
        name: String,
        /// The identity of the key that it needs.
        sealed_with: String,
        /// The identities of those that are there.
        in_use: String,
    },
    /// What is stored was changed, or by a newer version.
    #[error("the secret {0} was stored by a newer version or is damaged")]
    Unreadable(String),
    /// The machine gave no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// Others changed the same secret again and again while this change was tried.
    #[error("the secret {0} changes too fast: try again")]
    Contended(String),
    /// The store did not commit; only after [`CommitError::UnknownOutcome`] may the change have been made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The store could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
}

impl SecretsError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Forbidden(_) => ErrorKind::PermissionDenied,
            Self::InvalidName(_) | Self::ValueCount { .. } | Self::InvalidFile { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::LargeSecret { .. } | Self::TooManySecrets => ErrorKind::TooLarge,
            Self::UnknownKey { .. } => ErrorKind::FailedPrecondition,
            Self::Unreadable(_) | Self::NoRandomness => ErrorKind::Internal,
            Self::Contended(_) => ErrorKind::Overloaded,
            Self::Commit(error) => error.kind(),
            Self::Read(error) => error.kind(),
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotFound(_)
            | Self::Forbidden(_)
            | Self::InvalidName(_)
            | Self::ValueCount { .. }
            | Self::LargeSecret { .. }
            | Self::TooManySecrets => Fault::Caller,
            Self::InvalidFile { .. }
            | Self::UnknownKey { .. }
            | Self::Unreadable(_)
            | Self::NoRandomness
            | Self::Contended(_) => Fault::Runtime,
            Self::Commit(error) => error.fault(),
            Self::Read(error) => error.fault(),
        }
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::NoRandomness | Self::Contended(_) => Retryability::Always,
            Self::Commit(error) => error.retryability(),
            Self::Read(error) => error.retryability(),
            _ => Retryability::Never,
        }
    }
}
