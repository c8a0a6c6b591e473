//! What the server or the way to it says, in the words of the port.

use std::error::Error as _;
use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::{CommitError, Damage, ReadError};

/// Why the store could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This is not a URL of a database.
    #[error(
        "the URL of the store's database is not valid: {0}; write postgres://user:password@host:5432/database"
    )]
    Url(Arc<str>),
    /// This cannot be the name of a schema.
    #[error(
        "`{0}` cannot be the store's schema: use 1 to 40 lower-case letters, digits and underscores, a letter first"
    )]
    SchemaName(String),
    /// There are no certificates to check the server with.
    #[error("the store's database cannot be reached through TLS: {0}")]
    Certificates(Arc<str>),
    /// No connection, or not as this user.
    #[error("the store's database cannot be used: {0}")]
    Unavailable(Arc<str>),
    /// The server may lose what it has acknowledged.
    #[error("the store's database does not keep what it acknowledges: {0}")]
    Unsafe(Arc<str>),
    /// The tables could not be made or changed.
    #[error("the tables of the store could not be brought up to date: {0}")]
    Migration(Arc<str>),
    /// A newer program has been here.
    #[error(
        "the schema `{schema}` has version {found}, and this program knows {known}: use a newer one, or restore a backup"
    )]
    NewerSchema {
        /// The schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The latest that this program knows.
        known: i32,
    },
}

/// What went wrong, with its causes: the outermost alone says "db error".
pub(super) fn describe(error: &Error) -> Arc<str> {
    if let Some(database) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", database.message(), database.code().code()).into();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text.into()
}

/// A newer session of this committer has begun, or its entry is gone.
pub(super) fn is_fenced(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "MS001")
}

/// It is a copy of another store; it is none. The schema's functions say so.
const IS_REPLICA: &str = "MS002";
const IS_PRIMARY: &str = "MS003";

/// Whether the server said that it undid the statement. Otherwise the connection broke before it could say anything, or
/// it was told to stop, which can be between its commit and its answer.
pub(super) fn is_undone(error: &Error) -> bool {
    let unsure = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
    ];
    error.code().is_some_and(|code| !unsure.contains(code))
}

/// Whether it is about the state of the server or the store (read only, out of resources, told to stop, out of time, a copy)
/// and not about what it was told to do: classes 25, 53, 55 and 57 of SQLSTATE, and our own.
pub(super) fn is_of_server(error: &Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    matches!(class, Some("25" | "53" | "55" | "57" | "MS"))
}

/// The answer to a change that the server did not commit, or may not have.
pub(super) fn commit_error(error: &Error) -> CommitError {
    let reason = describe(error);
    match error.code() {
        _ if !is_undone(error) => CommitError::UnknownOutcome(reason),
        Some(code) if code.code() == IS_REPLICA => CommitError::Replica,
        Some(code) if code.code() == IS_PRIMARY => CommitError::Primary,
        Some(code) if is_damage(code) => CommitError::Damaged(Damage::new(reason)),
        Some(code) if *code == SqlState::DISK_FULL => CommitError::Full(reason),
        _ => CommitError::Unavailable(reason),
    }
}

/// The answer to a read that failed.
pub(super) fn read_error(error: &Error) -> ReadError {
    let reason = describe(error);
    match error.code() {
        Some(code) if is_damage(code) => ReadError::Damaged(Damage::new(reason)),
        _ => ReadError::Unavailable(reason),
    }
}

fn is_damage(code: &SqlState) -> bool {
    [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code)
}
