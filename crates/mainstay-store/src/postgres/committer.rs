//! The committer: one task through which every commit of this process goes.
//!
//! It takes everything that waits and sends it as one call, which the server decides about and makes durable as one
//! transaction. While it does, the next group gathers. Processes take turns by a lock in the database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio_postgres::Statement;

use super::error::{OpenError, commit_error, describe, is_fenced, is_of_server, is_undone};
use super::fenced::Fenced;
use super::group::{COMMIT_GROUP, commit};
use super::queue::{Answer, Exit, Waiting};
use super::schema::expand;
use super::session::Connector;
use crate::error::CommitError;
use crate::watch::Watchers;

/// A group ends when it has this many bytes; one batch more may be in it.
const MAX_GROUP_BYTES: usize = 8 * 1_024 * 1_024;

/// A group has this many batches at most.
const MAX_GROUP_BATCHES: usize = 1_024;

/// How long to wait before the next attempt to connect: doubled after each, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The task's state.
pub(super) struct Commits {
    connector: Connector,
    queue: Exit,
    watchers: Arc<Watchers>,
    id: Arc<[u8]>,
}

/// A connection that this process commits through.
pub(super) struct Line {
    connection: Fenced,
    statement: Statement,
}

impl Commits {
    pub(super) fn new(connector: Connector, queue: Exit, watchers: Arc<Watchers>, id: Arc<[u8]>) -> Self {
        Self {
            connector,
            queue,
            watchers,
            id,
        }
    }

    /// Commits until the queue is closed and empty.
    pub(super) async fn run(mut self, first: Line) {
        let mut line = Some(first);
        loop {
            let group = self.queue.take(MAX_GROUP_BATCHES, MAX_GROUP_BYTES).await;
            if group.is_empty() {
                return;
            }
            // A connection that broke while nothing was under way is replaced before anything is sent.
            let usable = line.take().filter(|line| !line.connection.session.is_closed());
            let current = match usable {
                Some(current) => Ok(current),
                None => self.open().await,
            };
            match current {
                Ok(current) => line = self.commit(current, group).await,
                Err(error) => {
                    refuse(group, &unavailable(&error));
                    line = self.reconnect().await;
                }
            }
        }
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Line, OpenError> {
        let connection = Fenced::begin(&self.connector, self.id.clone()).await?;
        let statement = expand(COMMIT_GROUP, &self.connector.options.schema);
        let statement = connection.session.client.prepare(&statement).await;
        Ok(Line {
            statement: statement.map_err(|error| OpenError::Unavailable(describe(&error)))?,
            connection,
        })
    }

    /// Tries until there is a connection again. What comes meanwhile is refused with each failure, so that nobody waits
    /// for a server that is not there. `None` when the store was closed.
    async fn reconnect(&mut self) -> Option<Line> {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.open().await {
                Ok(line) => {
                    tracing::info!("the store's database can be written to again");
                    return Some(line);
                }
                Err(error) => {
                    tracing::warn!(%error, "the store's database cannot be written to");
                    let refusal = unavailable(&error);
                    loop {
                        match self.queue.take_one() {
                            Ok(waiting) => refuse(vec![waiting], &refusal),
                            Err(TryRecvError::Empty) => break,
                            Err(TryRecvError::Disconnected) => return None,
                        }
                    }
                }
            }
        }
    }

    /// Commits a group and answers. Gives the connection back if it can still be used.
    async fn commit(&self, line: Line, group: Vec<Waiting>) -> Option<Line> {
        let error = match self.attempt(&line, &group).await {
            Ok(answers) => {
                answer(group, answers);
                return Some(line);
            }
            Err(error) => error,
        };
        // Where the store has moved, that is no news.
        if matches!(error, Failure::Server(CommitError::Replica)) {
            tracing::debug!(%error, batches = group.len(), "a group was not committed");
        } else {
            tracing::warn!(%error, batches = group.len(), "a group was not committed");
        }
        match error {
            Failure::Batch(_) if group.len() > 1 => self.commit_one_by_one(line, group).await,
            Failure::Batch(refusal) | Failure::Server(refusal) => {
                refuse(group, &refusal);
                Some(line)
            }
            Failure::Line(refusal) => {
                refuse(group, &refusal);
                None
            }
        }
    }

    /// Commits the batches of a group that was undone, each alone, so that only the one it was undone for is refused.
    async fn commit_one_by_one(&self, line: Line, group: Vec<Waiting>) -> Option<Line> {
        let mut line = Some(line);
        for waiting in group {
            let alone = vec![waiting];
            line = if let Some(current) = line {
                Box::pin(self.commit(current, alone)).await
            } else {
                let reason = "the connection to the database broke";
                refuse(alone, &CommitError::Unavailable(reason.into()));
                None
            };
        }
        line
    }

    /// Sends a group. An answer is for each batch, in order.
    async fn attempt(&self, line: &Line, group: &[Waiting]) -> Result<Vec<Answer>, Failure> {
        let limit = self.connector.options.answer_timeout();
        let answered = commit(&line.connection, &line.statement, group);
        let answered = tokio::time::timeout(limit, answered).await.map_err(|_| {
            let reason = format!("the database gave no answer for {} ms", limit.as_millis());
            Failure::Line(CommitError::UnknownOutcome(reason.into()))
        })?;
        let answers = answered.map_err(|error| Failure::of(&error))?;
        let versions = answers.iter().flatten().map(|commit| commit.version);
        if let Some(latest) = versions.max() {
            self.watchers.answered(latest);
        }
        Ok(answers)
    }
}

/// Why a group was not committed, and what its batches are told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// One of its batches may be the reason; nothing was written.
    #[error("{0}")]
    Batch(CommitError),
    /// Each of its batches would fail alike; nothing was written.
    #[error("{0}")]
    Server(CommitError),
    /// Nothing more can be sent through this connection.
    #[error("{0}")]
    Line(CommitError),
}

impl Failure {
    fn of(error: &tokio_postgres::Error) -> Self {
        let refusal = commit_error(error);
        if !is_undone(error) || is_fenced(error) {
            Self::Line(refusal)
        } else if is_of_server(error) {
            Self::Server(refusal)
        } else {
            Self::Batch(refusal)
        }
    }
}

fn answer(group: Vec<Waiting>, answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    for waiting in group {
        let lost = || Err(CommitError::UnknownOutcome("the database did not say".into()));
        // Nobody may be waiting any more; then nobody hears it.
        let _ = waiting.answer.send(answers.next().unwrap_or_else(lost));
    }
}

fn refuse(group: Vec<Waiting>, refusal: &CommitError) {
    for waiting in group {
        let _ = waiting.answer.send(Err(refusal.clone()));
    }
}

fn unavailable(error: &OpenError) -> CommitError {
    CommitError::Unavailable(error.to_string().into())
}
