//! Calls that take a turn in the line of commits without being commits: see `schema/replication.sql`.

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::{commit_error, is_fenced, is_undone};
use super::fenced::Fenced;
use super::session::Connector;
use crate::error::CommitError;

/// An argument of a call.
pub(super) type Argument<'a> = &'a (dyn ToSql + Sync);

/// Makes the calls of this process, one after another, on a connection that is opened by the first of them.
pub(super) struct Turns {
    connector: Connector,
    id: Arc<[u8]>,
    connection: Mutex<Option<Fenced>>,
}

impl Turns {
    /// For the process with this name.
    pub(super) fn new(connector: Connector, process: &[u8]) -> Self {
        // Commits have a session of their own, which these calls must not end.
        let id = [process, b" turns"].concat().into();
        Self {
            connector,
            id,
            connection: Mutex::new(None),
        }
    }

    /// Calls a function of the schema.
    ///
    /// When the future is dropped, it is open whether the call takes effect; it does so before the next one, or never.
    pub(super) async fn call(
        &self,
        function: &str,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>, CommitError> {
        let limit = self.connector.options.answer_timeout();
        let waiting = timeout(limit, self.connection.lock()).await;
        let mut slot = waiting.map_err(|_| CommitError::Overloaded)?;
        let connection = match slot.take().filter(|connection| !connection.session.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let statement = self.statement(function, arguments.len());
        let (id, number) = (connection.id.as_ref(), connection.number);
        let identity: [Argument<'_>; 2] = [&id, &number];
        let arguments: Vec<_> = identity.iter().chain(arguments).copied().collect();
        let answer = connection.session.client.query(&statement, &arguments);
        let Ok(answer) = timeout(limit, answer).await else {
            let reason = format!("the database gave no answer for {} ms", limit.as_millis());
            return Err(CommitError::UnknownOutcome(reason.into()));
        };
        if answer
            .as_ref()
            .err()
            .is_none_or(|error| is_undone(error) && !is_fenced(error))
        {
            *slot = Some(connection);
        }
        answer.map_err(|error| commit_error(&error))
    }

    async fn connect(&self) -> Result<Fenced, CommitError> {
        let connected = Fenced::begin(&self.connector, self.id.clone()).await;
        connected.map_err(|error| CommitError::Unavailable(error.to_string().into()))
    }

    fn statement(&self, function: &str, arguments: usize) -> String {
        let mut statement = format!(
            "SELECT * FROM {}.{function}($1, $2",
            self.connector.options.schema
        );
        for number in 3..3 + arguments {
            // Text takes whatever is written.
            let _ = write!(statement, ", ${number}");
        }
        statement.push(')');
        statement
    }
}
