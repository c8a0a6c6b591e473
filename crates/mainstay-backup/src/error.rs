//! What can go wrong with a backup as a whole.

use mainstay_base::rfc3339_millis;
use mainstay_base::{ErrorKind, Fault, Retryability};
use mainstay_store::{CommitError, FollowError, ReadError, Version};

use crate::archive::Broken;
use crate::format::FormatError;
use crate::repository::RepositoryError;
use crate::wire::SourceError;

/// Why something was not backed up, verified or restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// An object cannot be read or written.
    #[error("{0}")]
    Repository(#[from] RepositoryError),
    /// An object is not what it should be.
    #[error("{place}: {error}")]
    Format {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: FormatError,
    },
    /// The store that is backed up cannot be read.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// It cannot be written, which is a defect: a store gives nothing that is too large.
    #[error("the backup cannot be written: {0}")]
    Unwritten(FormatError),
    /// What was read back is not what was written.
    #[error("{place}: it is not what was written, though every part of it is whole: do not rely on it")]
    NotWhatWasWritten {
        /// The object.
        place: String,
    },
    /// Between being verified and being restored, an object changed.
    #[error("{place}: it was changed while it was restored: restore again")]
    Changed {
        /// The object.
        place: String,
    },
    /// The backup shows a later moment than the one that is wanted.
    #[error(
        "{place} is of {}, after {}: restore from an earlier backup",
        time(*at),
        time(*until)
    )]
    Later {
        /// The backup.
        place: String,
        /// Its moment.
        at: Version,
        /// The moment that is wanted.
        until: Version,
    },
    /// Changes between the backup and the moment are missing.
    #[error("{place}: {broken}")]
    Broken {
        /// The archive.
        place: String,
        /// What is missing.
        broken: Broken,
    },
    /// There is no backup there.
    #[error("{place}: there is no backup{}", until.map_or_else(String::new, |until| format!(" of {} or earlier", time(until))))]
    NoBackup {
        /// Where.
        place: String,
        /// The moment that is wanted.
        until: Option<Version>,
    },
    /// The store that is restored into holds something.
    #[error("the store holds data already")]
    NotEmpty,
    /// The store that is restored into cannot be read.
    #[error("the store cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The store that is restored into cannot be written.
    #[error("the store cannot be written: {0}")]
    Commit(#[from] CommitError),
    /// The store that is archived cannot be followed.
    #[error("{0}")]
    Follow(#[from] FollowError),
    /// The machine fails.
    #[error("{0}")]
    Machine(String),
}

/// The moment of a version, for people.
fn time(version: Version) -> String {
    rfc3339_millis(version.unix_ms())
}

impl BackupError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Repository(error) => error.kind(),
            Self::Source(_) => ErrorKind::Unavailable,
            Self::Format { .. } | Self::Later { .. } | Self::Broken { .. } | Self::NotEmpty => {
                ErrorKind::FailedPrecondition
            }
            Self::Changed { .. } | Self::Follow(_) => ErrorKind::FailedPrecondition,
            Self::NotWhatWasWritten { .. } | Self::Unwritten(_) | Self::Machine(_) => ErrorKind::Internal,
            Self::NoBackup { .. } => ErrorKind::NotFound,
            Self::Read(error) => error.kind(),
            Self::Commit(error) => error.kind(),
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Repository(error) => error.fault(),
            Self::Read(error) => error.fault(),
            Self::Commit(error) => error.fault(),
            Self::Later { .. } | Self::NoBackup { .. } | Self::NotEmpty => Fault::Caller,
            Self::Format { .. }
            | Self::Source(_)
            | Self::Unwritten(_)
            | Self::NotWhatWasWritten { .. }
            | Self::Changed { .. }
            | Self::Broken { .. }
            | Self::Follow(_)
            | Self::Machine(_) => Fault::Runtime,
        }
    }

    /// Whether to try the same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Repository(error) => error.retryability(),
            Self::Read(error) => error.retryability(),
            Self::Commit(error) => error.retryability(),
            Self::Source(_) | Self::Changed { .. } => Retryability::Always,
            _ => Retryability::Never,
        }
    }
}
