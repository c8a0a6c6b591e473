//! What can go wrong, whose fault it is, and whether to try again.

use std::sync::Arc;

use mainstay_base::{ErrorKind, Fault, Retryability};
use mainstay_store::{CommitError, ReadError};

use crate::crdt::InvalidReplicated;
use crate::encryption::EncryptionError;
use crate::key::InvalidKey;
use crate::limits::{MAX_BULK_KEYS, MAX_CONTENT_TYPE_BYTES, MAX_OPERATIONS, MAX_WATCHED};
use crate::query::QueryError;

/// Why a component did not do what was asked. Unless said otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The key has another `ETag` than the one that was sent, or exists although it must not.
    #[error("possible etag mismatch. error from state store: {reason} for key={key}")]
    EtagMismatch {
        /// The key, with its prefix.
        key: String,
        /// What was found.
        reason: &'static str,
    },
    /// The component never gives such an `ETag`.
    #[error("invalid etag value: `{0}` is none that this state store gives")]
    InvalidEtag(String),
    /// The key cannot be one.
    #[error("{0}")]
    InvalidKey(#[from] InvalidKey),
    /// A value of so many bytes.
    #[error("the value of {key} has {bytes} bytes: {limit} at most")]
    LargeValue {
        /// The key, with its prefix.
        key: String,
        /// The size of its value.
        bytes: usize,
        /// The largest value that the component takes.
        limit: usize,
    },
    /// A content type of so many bytes.
    #[error("the content type of a value has {0} bytes: {MAX_CONTENT_TYPE_BYTES} at most")]
    LongContentType(usize),
    /// So many operations at once.
    #[error("{0} operations at once: {MAX_OPERATIONS} at most")]
    TooManyOperations(usize),
    /// So many keys in one read.
    #[error("{0} keys in one read: {MAX_BULK_KEYS} at most")]
    TooManyKeys(usize),
    /// The query cannot be answered.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// The component is encrypted.
    #[error("cannot query encrypted store")]
    QueryEncrypted,
    /// The component answers no queries.
    #[error("state store does not support querying")]
    QueryUnsupported,
    /// A value could not be sealed or opened.
    #[error("{0}")]
    Encryption(#[from] EncryptionError),
    /// What protects the change does not hold any more.
    #[error("the lock that protects this change is not held any more")]
    Unprotected,
    /// What protects the change is in another place than the values.
    #[error(
        "a lock protects changes of state.mainstay only: the values of this state store are kept elsewhere"
    )]
    Elsewhere,
    /// The component has no room.
    #[error("the state store is full: {0} bytes at most")]
    Full(usize),
    /// Others changed the same keys again and again while this change was tried.
    #[error("the state of {0} changes too fast: try again")]
    Contended(String),
    /// The stored form of the value is not known.
    #[error("the value of {0} was stored by a newer version or is damaged")]
    Unreadable(String),
    /// Something else than what the key holds was to be merged into it.
    #[error("{key} cannot be merged into: {reason}")]
    NotMerged {
        /// The key, with its prefix.
        key: String,
        /// Why not.
        reason: InvalidReplicated,
    },
    /// The component has no values that merge.
    #[error("this state store has no values that merge")]
    CannotMerge,
    /// A value was to be set that would be taken for one that merges.
    #[error(
        "the value of {0} begins as only values do that merge: write it in another way, such as in base64"
    )]
    Marked(String),
    /// The component cannot tell which keys it has.
    #[error("this type of state store cannot list its keys")]
    CannotList,
    /// The component cannot tell when keys change.
    #[error("this type of state store cannot be watched")]
    CannotWatch,
    /// The server of the component does not tell when keys change, and does not let itself be told to.
    #[error("this state store cannot be watched: {0}")]
    NotTold(Arc<str>),
    /// So many keys cannot be watched together.
    #[error("there are more than {MAX_WATCHED} keys to watch: name a longer prefix")]
    TooManyWatched,
    /// The store did not commit; only after [`CommitError::UnknownOutcome`] may the change have been made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The store could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
}

impl StateError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::EtagMismatch { .. } | Self::Unprotected | Self::NotMerged { .. } => {
                ErrorKind::FailedPrecondition
            }
            Self::InvalidEtag(_) | Self::InvalidKey(_) | Self::LongContentType(_) | Self::Marked(_) => {
                ErrorKind::InvalidArgument
            }
            Self::LargeValue { .. }
            | Self::TooManyOperations(_)
            | Self::TooManyKeys(_)
            | Self::TooManyWatched
            | Self::Query(QueryError::TooManyValues | QueryError::TooBroad(_) | QueryError::TooLong { .. }) => {
                ErrorKind::TooLarge
            }
            Self::Query(_) => ErrorKind::InvalidArgument,
            Self::Full(_) | Self::Contended(_) => ErrorKind::Overloaded,
            Self::Elsewhere
            | Self::QueryEncrypted
            | Self::QueryUnsupported
            | Self::CannotMerge
            | Self::CannotList
            | Self::CannotWatch
            | Self::NotTold(_) => ErrorKind::Unimplemented,
            Self::Encryption(_) | Self::Unreadable(_) => ErrorKind::Internal,
            Self::Commit(error) => error.kind(),
            Self::Read(error) => error.kind(),
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::EtagMismatch { .. }
            | Self::Unprotected
            | Self::Elsewhere
            | Self::InvalidEtag(_)
            | Self::InvalidKey(_)
            | Self::LargeValue { .. }
            | Self::LongContentType(_)
            | Self::TooManyOperations(_)
            | Self::TooManyKeys(_)
            | Self::Query(_)
            | Self::NotMerged { .. }
            | Self::CannotMerge
            | Self::Marked(_)
            | Self::CannotList
            | Self::CannotWatch
            | Self::NotTold(_)
            | Self::TooManyWatched
            | Self::QueryEncrypted
            | Self::QueryUnsupported => Fault::Caller,
            Self::Encryption(_) | Self::Full(_) | Self::Contended(_) | Self::Unreadable(_) => Fault::Runtime,
            Self::Commit(error) => error.fault(),
            Self::Read(error) => error.fault(),
        }
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::EtagMismatch { .. }
            | Self::Unprotected
            | Self::Elsewhere
            | Self::InvalidEtag(_)
            | Self::InvalidKey(_)
            | Self::LargeValue { .. }
            | Self::LongContentType(_)
            | Self::TooManyOperations(_)
            | Self::TooManyKeys(_)
            | Self::Query(_)
            | Self::NotMerged { .. }
            | Self::CannotMerge
            | Self::Marked(_)
            | Self::CannotList
            | Self::CannotWatch
            | Self::NotTold(_)
            | Self::TooManyWatched
            | Self::QueryEncrypted
            | Self::QueryUnsupported
            | Self::Encryption(_)
            | Self::Unreadable(_) => Retryability::Never,
            Self::Full(_) | Self::Contended(_) => Retryability::Always,
            Self::Commit(error) => error.retryability(),
            Self::Read(error) => error.retryability(),
        }
    }
}
