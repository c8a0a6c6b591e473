//! What can go wrong, whose fault it is, and whether to try again.

use mainstay_base::{ErrorKind, Fault, Retryability};
use mainstay_redis::RedisError;
use mainstay_store::{CommitError, ReadError};

use crate::expiry::InvalidExpiry;
use crate::key::InvalidName;
use crate::lease::InvalidTimes;

/// Why a component did not do what was asked. Unless said otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// A name that cannot be one.
    #[error("{0}")]
    InvalidName(#[from] InvalidName),
    /// A time that no lock may last.
    #[error("{0}")]
    InvalidExpiry(#[from] InvalidExpiry),
    /// Times that cannot make a lease.
    #[error("{0}")]
    InvalidTimes(#[from] InvalidTimes),
    /// The locks are not where the change is made.
    #[error("only locks of lock.mainstay protect changes of state: those of others are kept elsewhere")]
    NoFence,
    /// More locks are held than the component has room for.
    #[error("{0} locks are held: no more at a time")]
    Full(usize),
    /// Others changed the same lock again and again while this call was tried.
    #[error("the lock {0} changes hands too fast: try again")]
    Contended(String),
    /// The stored form of the lock is not known.
    #[error("the lock {0} was stored by a newer version or is damaged")]
    Unreadable(String),
    /// The machine gave no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// Redis did not do it; only after [`RedisError::UnknownOutcome`] may it have.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// The store did not commit; only after [`CommitError::UnknownOutcome`] may the change have been made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The store could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
}

impl LockError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidName(_) | Self::InvalidExpiry(_) | Self::InvalidTimes(_) => {
                ErrorKind::InvalidArgument
            }
            Self::NoFence => ErrorKind::Unimplemented,
            Self::Full(_) | Self::Contended(_) => ErrorKind::Overloaded,
            Self::Unreadable(_) | Self::NoRandomness => ErrorKind::Internal,
            Self::Redis(error) => error.kind(),
            Self::Commit(error) => error.kind(),
            Self::Read(error) => error.kind(),
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidName(_) | Self::InvalidExpiry(_) | Self::InvalidTimes(_) | Self::NoFence => {
                Fault::Caller
            }
            Self::Full(_) | Self::Contended(_) | Self::Unreadable(_) | Self::NoRandomness => Fault::Runtime,
            Self::Redis(error) => error.fault(),
            Self::Commit(error) => error.fault(),
            Self::Read(error) => error.fault(),
        }
    }

    /// Whether to ask for the very same again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::InvalidName(_)
            | Self::InvalidExpiry(_)
            | Self::InvalidTimes(_)
            | Self::NoFence
            | Self::Unreadable(_) => Retryability::Never,
            Self::Full(_) | Self::Contended(_) | Self::NoRandomness => Retryability::Always,
            Self::Redis(error) => error.retryability(),
            Self::Commit(error) => error.retryability(),
            Self::Read(error) => error.retryability(),
        }
    }
}
