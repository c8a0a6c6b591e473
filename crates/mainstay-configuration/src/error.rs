//! What can go wrong, whose fault it is, and whether to try again.

use mainstay_base::{ErrorKind, Fault, Retryability};
use mainstay_postgres::PostgresError;
use mainstay_redis::RedisError;
use mainstay_store::{CommitError, ReadError};

use crate::limits::{
    MAX_AUTHOR_BYTES, MAX_CHANGES, MAX_ITEMS, MAX_KEY_BYTES, MAX_KEYS, MAX_METADATA_BYTES, MAX_VALUE_BYTES,
};

/// Why a component did not do what was asked. Unless said otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The key cannot be one. Its beginning is shown.
    #[error("`{}` cannot be a configuration key: 1 to {MAX_KEY_BYTES} bytes without NUL", .0.escape_debug())]
    InvalidKey(String),
    /// So many keys at once.
    #[error("{0} configuration keys at once: {MAX_KEYS} at most")]
    TooManyKeys(usize),
    /// The component holds more than can be read at once.
    #[error("the configuration has more than {MAX_ITEMS} keys: name those that you need")]
    TooManyItems,
    /// A value of so many bytes.
    #[error("the value of the configuration key {key} has {bytes} bytes: {MAX_VALUE_BYTES} at most")]
    LargeValue {
        /// The key.
        key: String,
        /// The size of its value.
        bytes: usize,
    },
    /// Metadata of so many bytes.
    #[error("the metadata of the configuration key {key} has {bytes} bytes: {MAX_METADATA_BYTES} at most")]
    LargeMetadata {
        /// The key.
        key: String,
        /// The size of its metadata.
        bytes: usize,
    },
    /// So many changes at once.
    #[error("{0} configuration changes at once: {MAX_CHANGES} at most")]
    TooManyChanges(usize),
    /// Two changes of one key at once.
    #[error("the configuration key {0} is changed twice at once: which one is meant?")]
    ChangedTwice(String),
    /// Nobody, or a name of so many bytes.
    #[error("who changes the configuration needs a name of 1 to {MAX_AUTHOR_BYTES} bytes, not {0}")]
    InvalidAuthor(usize),
    /// No change of the key is remembered, or not this one.
    #[error("there is no such change of the configuration key {0} to undo")]
    NothingToUndo(String),
    /// The key was changed after the change that was to be undone.
    #[error("the configuration key {0} was changed again since: undo the later change first")]
    ChangedSince(String),
    /// Others changed the same keys again and again while this change was tried.
    #[error("the configuration of {0} changes too fast: try again")]
    Contended(String),
    /// The stored form is not known.
    #[error("the configuration key {0} was stored by a newer version or is damaged")]
    Unreadable(String),
    /// The component was closed.
    #[error("the configuration store is closed")]
    Closed,
    /// A subscription without the channel on which PostgreSQL tells of changes.
    #[error(
        "unable to subscribe: the metadata `pgNotifyChannel` names the channel on which changes are notified"
    )]
    NoChannel,
    /// PostgreSQL did not do it.
    #[error("{0}")]
    Postgres(#[from] PostgresError),
    /// Redis did not do it.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// The store did not commit; only after [`CommitError::UnknownOutcome`] may the change have been made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The store could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
}

impl ConfigurationError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidKey(_) | Self::ChangedTwice(_) | Self::InvalidAuthor(_) | Self::NoChannel => {
                ErrorKind::InvalidArgument
            }
            Self::TooManyKeys(_)
            | Self::TooManyItems
            | Self::LargeValue { .. }
            | Self::LargeMetadata { .. }
            | Self::TooManyChanges(_) => ErrorKind::TooLarge,
            Self::NothingToUndo(_) => ErrorKind::NotFound,
            Self::ChangedSince(_) => ErrorKind::FailedPrecondition,
            Self::Contended(_) => ErrorKind::Overloaded,
            Self::Unreadable(_) => ErrorKind::Internal,
            Self::Closed => ErrorKind::Unavailable,
            Self::Postgres(error) => error.kind(),
            Self::Redis(error) => error.kind(),
            Self::Commit(error) => error.kind(),
            Self::Read(error) => error.kind(),
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidKey(_)
            | Self::ChangedTwice(_)
            | Self::InvalidAuthor(_)
            | Self::NoChannel
            | Self::TooManyKeys(_)
            | Self::TooManyItems
            | Self::LargeValue { .. }
            | Self::LargeMetadata { .. }
            | Self::TooManyChanges(_)
            | Self::NothingToUndo(_)
            | Self::ChangedSince(_) => Fault::Caller,
            Self::Contended(_) | Self::Unreadable(_) | Self::Closed => Fault::Runtime,
            Self::Postgres(error) => error.fault(),
            Self::Redis(error) => error.fault(),
            Self::Commit(error) => error.fault(),
            Self::Read(error) => error.fault(),
        }
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Contended(_) => Retryability::Always,
            Self::Postgres(error) => error.retryability(),
            Self::Redis(error) => error.retryability(),
            Self::Commit(error) => error.retryability(),
            Self::Read(error) => error.retryability(),
            _ => Retryability::Never,
        }
    }
}
