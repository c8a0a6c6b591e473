//! What stands in the way, and whether waiting helps.

use mainstay_base::Retryability;
use mainstay_store::{CommitError, FollowError, ReadError, SwitchError};

use crate::journal::JournalError;
use crate::port::OpenProblem;

/// What stands in the way of a migration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It may go away; it is tried again.
    #[error("{0}")]
    Passing(String),
    /// Somebody has to do something.
    #[error("{0}")]
    Lasting(String),
}

impl Trouble {
    fn new(retryability: Retryability, reason: &impl ToString) -> Self {
        match retryability {
            Retryability::Never => Self::Lasting(reason.to_string()),
            // All that a migration asks for can be asked for again.
            Retryability::Always | Retryability::IfIdempotent => Self::Passing(reason.to_string()),
        }
    }
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        Self::new(error.retryability(), &error)
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::SnapshotTooOld => Self::Passing(error.to_string()),
            error => Self::new(error.retryability(), &error),
        }
    }
}

impl From<FollowError> for Trouble {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Read(error) => error.into(),
            FollowError::Commit(error) => error.into(),
            FollowError::Unknown(_)
            | FollowError::Lost(_)
            | FollowError::Confirmed { .. }
            | FollowError::TooMany => Self::Lasting(error.to_string()),
        }
    }
}

impl From<SwitchError> for Trouble {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::TooMany => Self::Lasting(error.to_string()),
            SwitchError::Paused | SwitchError::Busy(_) => Self::Passing(error.to_string()),
        }
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io(..) => Self::Passing(error.to_string()),
            JournalError::Damaged(_) | JournalError::Newer(..) => Self::Lasting(error.to_string()),
        }
    }
}

impl From<OpenProblem> for Trouble {
    fn from(problem: OpenProblem) -> Self {
        if problem.is_passing {
            Self::Passing(problem.message)
        } else {
            Self::Lasting(problem.message)
        }
    }
}
