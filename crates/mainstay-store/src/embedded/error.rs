//! Why a store cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_base::{ErrorKind, Fault, Retryability};

use crate::error::Damage;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process: stop it, or use another folder", path = .0.display())]
    Locked(PathBuf),
    /// A newer Mainstay wrote it.
    #[error(
        "{path} has store format {found}, and this Mainstay knows formats up to {known}: use the newer Mainstay",
        path = path.display()
    )]
    NewerFormat {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest that this version knows.
        known: u32,
    },
    /// What is in it is not what was written.
    #[error("{path}: {damage}", path = path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
    /// The disk does not let us.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            damage: Damage::new(what.into()),
        }
    }

    /// Turns an I/O error at `path` into this error.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked(_) | Self::Io { .. } => ErrorKind::Unavailable,
            Self::NewerFormat { .. } => ErrorKind::FailedPrecondition,
            Self::Damaged { .. } => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Locked(_) | Self::NewerFormat { .. } => Fault::Caller,
            Self::Io { .. } | Self::Damaged { .. } => Fault::Runtime,
        }
    }

    /// Whether to try again.
    pub const fn retryability(&self) -> Retryability {
        match self {
            Self::Locked(_) | Self::Io { .. } => Retryability::Always,
            Self::NewerFormat { .. } | Self::Damaged { .. } => Retryability::Never,
        }
    }
}
