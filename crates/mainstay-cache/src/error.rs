//! What can go wrong, whose fault it is, and whether to try again.

use std::time::Duration;

use mainstay_base::{ErrorKind, Fault, Retryability, format_duration};

/// Why there is no answer, neither a new one nor an old one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError<E> {
    /// What the loader said.
    #[error("{0}")]
    Load(E),
    /// The load took longer than it may.
    #[error("the load did not end within {}", format_duration(*.0))]
    Timeout(Duration),
    /// The load was broken off: its runtime ended, or the loader has a defect.
    #[error("the load was broken off")]
    Interrupted,
}

impl<E> CacheError<E> {
    /// The loader's own error, or the one that `make` makes of another.
    pub fn into_load(self, make: impl FnOnce(&CacheError<std::convert::Infallible>) -> E) -> E {
        match self {
            Self::Load(error) => error,
            Self::Timeout(limit) => make(&CacheError::Timeout(limit)),
            Self::Interrupted => make(&CacheError::Interrupted),
        }
    }
}

impl CacheError<std::convert::Infallible> {
    /// What kind of error it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Timeout(_) => ErrorKind::DeadlineExceeded,
            Self::Load(_) | Self::Interrupted => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Timeout(_) => Fault::Callee,
            Self::Load(_) | Self::Interrupted => Fault::Runtime,
        }
    }

    /// Whether to try again. What is cached is read, so doing it twice is as good as once.
    pub const fn retryability(&self) -> Retryability {
        Retryability::IfIdempotent
    }
}

/// Why a store of cached values did not do what was asked. Callers of a cache never get to see it: it is counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no connection to it at present.
    #[error("the cache's server cannot be reached")]
    Unavailable,
    /// It took too long; it may have been done.
    #[error("the cache's server did not answer within {}", format_duration(*.0))]
    Timeout(Duration),
    /// It broke off, or refused.
    #[error("the cache's server: {0}")]
    Server(String),
    /// What it holds under the key is damaged.
    #[error("the cache holds a damaged entry")]
    Damaged,
    /// Larger than what the store takes.
    #[error("the value is too large to be cached: {0} bytes")]
    TooLarge(usize),
}

impl StoreError {
    /// What kind of error it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable | Self::Server(_) => ErrorKind::Unavailable,
            Self::Timeout(_) => ErrorKind::DeadlineExceeded,
            Self::Damaged => ErrorKind::Internal,
            Self::TooLarge(_) => ErrorKind::TooLarge,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unavailable | Self::Timeout(_) | Self::Server(_) => Fault::Callee,
            Self::Damaged | Self::TooLarge(_) => Fault::Runtime,
        }
    }

    /// Whether to try again. An invalidation is made up for without.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Unavailable | Self::Timeout(_) | Self::Server(_) => Retryability::Always,
            Self::Damaged | Self::TooLarge(_) => Retryability::Never,
        }
    }
}
