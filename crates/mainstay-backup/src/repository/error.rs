//! What can go wrong in a repository.

use mainstay_base::{ErrorKind, Fault, Retryability};

/// Something went wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {trouble}")]
pub struct RepositoryError {
    /// The object's path or URL.
    pub place: String,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It does not exist.
    #[error("it does not exist")]
    NotFound,
    /// Something has its name.
    #[error("it exists already, and a backup is never overwritten: choose another name")]
    Exists,
    /// Such a name cannot be.
    #[error("its name needs 1 to 200 letters, digits, `-`, `_` and `.`, the first of which is no `.`")]
    Name,
    /// It may not be done, or makes no sense. Trying again cannot help.
    #[error("{0}")]
    Refused(String),
    /// Now it does not work.
    #[error("{0}")]
    Unavailable(String),
}

impl RepositoryError {
    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        match self.trouble {
            Trouble::NotFound => ErrorKind::NotFound,
            Trouble::Exists | Trouble::Refused(_) => ErrorKind::FailedPrecondition,
            Trouble::Name => ErrorKind::InvalidArgument,
            Trouble::Unavailable(_) => ErrorKind::Unavailable,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self.trouble {
            Trouble::NotFound | Trouble::Exists | Trouble::Name | Trouble::Refused(_) => Fault::Caller,
            Trouble::Unavailable(_) => Fault::Runtime,
        }
    }

    /// Whether to try the same again.
    pub const fn retryability(&self) -> Retryability {
        match self.trouble {
            Trouble::Unavailable(_) => Retryability::Always,
            _ => Retryability::Never,
        }
    }
}
