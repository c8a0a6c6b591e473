//! What can go wrong, whose fault it is, and whether to try again.

use std::sync::Arc;

use mainstay_base::{ErrorKind, Fault, Retryability};

use crate::batch::{Condition, InvalidBatch};
use crate::limits::MAX_READ_KEYS;
use crate::version::Version;

/// Why a batch was not committed, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A condition does not hold. Nothing was written.
    #[error("{0}")]
    Conflict(Box<Conflict>),
    /// No store may take this batch. Nothing was written.
    #[error("{0}")]
    Invalid(#[from] InvalidBatch),
    /// More is waiting to be committed than may wait. Nothing was written.
    #[error("the store is busy: too many commits are waiting")]
    Overloaded,
    /// There is no room. Nothing was written; writes work again when there is room.
    #[error("the store has no room for writes: {0}")]
    Full(Arc<str>),
    /// The store cannot be written to. Nothing was written.
    #[error("the store takes no writes: {0}")]
    Unavailable(Arc<str>),
    /// The store broke off while it was writing: the batch may be committed or not, now or when the store is back. To
    /// find out, commit it again with its token.
    #[error("it is not known whether the batch was committed: {0}")]
    UnknownOutcome(Arc<str>),
    /// What had to be read to check the conditions is damaged. Nothing was written.
    #[error("{0}")]
    Damaged(#[from] Damage),
    /// It is a copy of another store, or was handed over to it. Nothing was written.
    #[error("the store takes no commits: it is a copy of another one")]
    Replica,
    /// It is not a copy, so nothing is copied into it. Nothing was written.
    #[error("the store takes no copies: it is in use itself")]
    Primary,
    /// The store was closed. Nothing was written.
    #[error("the store is closed")]
    Closed,
}

/// The condition that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct Conflict {
    /// Its position in the batch.
    pub position: usize,
    /// The condition.
    pub condition: Condition,
    /// For a key, the version that it has instead; `None` when the key does not exist. For a range, the latest version
    /// in it, where known.
    pub found: Option<Version>,
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// So many keys at once.
    #[error("{0} keys in one read: {MAX_READ_KEYS} at most")]
    TooManyKeys(usize),
    /// What is stored is not what was written. It is never given out.
    #[error("{0}")]
    Damaged(#[from] Damage),
    /// The snapshot was held for longer than the store keeps what it shows.
    #[error("the snapshot is too old: take a new one")]
    SnapshotTooOld,
    /// The store cannot be read at present.
    #[error("the store cannot be read: {0}")]
    Unavailable(Arc<str>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Stored bytes that do not match their checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored data is damaged: {what}; restore it from a backup")]
pub struct Damage {
    /// What was found where.
    pub what: Arc<str>,
}

/// The store is gone, so nothing changes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is closed")]
pub struct Closed;

impl Damage {
    /// Damage that is described so.
    pub fn new(what: impl Into<Arc<str>>) -> Self {
        Self { what: what.into() }
    }
}

impl Conflict {
    fn describe(&self) -> String {
        let found = self.found.map_or("is absent".to_owned(), |version| {
            format!("is at version {version}")
        });
        match &self.condition {
            Condition::KeyAt { key, version } => {
                format!("conflict: {key:?} {found}, not at version {version}")
            }
            Condition::KeyAbsent { key } => format!("conflict: {key:?} {found}, not absent"),
            Condition::RangeUnchanged { range, since, .. } => {
                format!("conflict: the range {range:?} has changed since version {since}")
            }
        }
    }
}

impl CommitError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict(_) | Self::Primary => ErrorKind::FailedPrecondition,
            Self::Invalid(InvalidBatch::TooLarge(_)) => ErrorKind::TooLarge,
            Self::Invalid(_) => ErrorKind::InvalidArgument,
            Self::Overloaded | Self::Full(_) => ErrorKind::Overloaded,
            Self::Unavailable(_) | Self::UnknownOutcome(_) | Self::Replica | Self::Closed => {
                ErrorKind::Unavailable
            }
            Self::Damaged(_) => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Conflict(_) | Self::Invalid(_) | Self::Primary => Fault::Caller,
            Self::Overloaded
            | Self::Full(_)
            | Self::Unavailable(_)
            | Self::UnknownOutcome(_)
            | Self::Replica
            | Self::Damaged(_)
            | Self::Closed => Fault::Runtime,
        }
    }

    /// Whether to commit the very same batch again. A conflict asks for a new batch, made from what is stored now.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Conflict(_) | Self::Invalid(_) | Self::Damaged(_) | Self::Primary | Self::Closed => {
                Retryability::Never
            }
            // Soon another store is there instead of it.
            Self::Overloaded | Self::Full(_) | Self::Unavailable(_) | Self::Replica => Retryability::Always,
            Self::UnknownOutcome(_) => Retryability::IfIdempotent,
        }
    }
}

impl ReadError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooManyKeys(_) => ErrorKind::TooLarge,
            Self::SnapshotTooOld => ErrorKind::FailedPrecondition,
            Self::Damaged(_) => ErrorKind::Internal,
            Self::Unavailable(_) | Self::Closed => ErrorKind::Unavailable,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooManyKeys(_) | Self::SnapshotTooOld => Fault::Caller,
            Self::Damaged(_) | Self::Unavailable(_) | Self::Closed => Fault::Runtime,
        }
    }

    /// Whether to read the same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable(_) => Retryability::Always,
            Self::TooManyKeys(_) | Self::SnapshotTooOld | Self::Damaged(_) | Self::Closed => {
                Retryability::Never
            }
        }
    }
}

/// The one rule for how much a read may ask for.
pub(crate) const fn check_read(keys: usize) -> Result<(), ReadError> {
    if keys > MAX_READ_KEYS {
        return Err(ReadError::TooManyKeys(keys));
    }
    Ok(())
}
