//! What the server or the way to it says, in the words of the port.

use mainstay_postgres::PostgresError;
use mainstay_store::{CommitError, Damage, ReadError};

use crate::error::StateError;

/// The answer to a change that was not made, or may not have been.
pub(super) fn not_written(error: PostgresError) -> StateError {
    let error = match error {
        PostgresError::UnknownOutcome(reason) => CommitError::UnknownOutcome(reason),
        PostgresError::Full(reason) => CommitError::Full(reason),
        PostgresError::Damaged(reason) => CommitError::Damaged(Damage::new(reason)),
        other => CommitError::Unavailable(other.to_string().into()),
    };
    error.into()
}

/// The answer to a read that failed.
pub(super) fn not_read(error: PostgresError) -> StateError {
    let error = match error {
        PostgresError::Damaged(reason) => ReadError::Damaged(Damage::new(reason)),
        other => ReadError::Unavailable(other.to_string().into()),
    };
    error.into()
}
