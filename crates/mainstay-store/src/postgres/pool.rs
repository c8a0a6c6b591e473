//! Connections for reads. Reads share them: one connection has many requests under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_postgres::Row;

use super::error::{OpenError, describe, read_error};
use super::reader::Statements;
use super::schema::expand;
use super::session::{Connector, Session};
use super::turns::Argument;
use crate::error::ReadError;
use crate::key::Key;
use crate::port::{Page, Read, Scan};
use crate::version::Version;

/// How many reads may be under way; more are refused.
const MAX_READS: usize = 4_096;

/// The connections. One that broke is replaced by the next read that would use it.
pub(super) struct Pool {
    connector: Connector,
    slots: Vec<Mutex<Option<Arc<Reading>>>>,
    next: AtomicUsize,
    permits: Semaphore,
}

/// A connection that reads.
pub(super) struct Reading {
    pub session: Session,
    pub statements: Statements,
}

/// What to read.
#[derive(Clone, Copy)]
enum Request<'a> {
    Keys(&'a [Key]),
    Range(&'a Scan),
    Rows(&'a str, &'a [Argument<'a>]),
}

enum Found {
    Keys(Read),
    Range(Page),
    Rows(Vec<Row>),
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        let slots = connector.options.read_connections.max(1);
        Self {
            connector,
            slots: (0..slots).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
            permits: Semaphore::new(MAX_READS),
        }
    }

    /// Reads keys. Cancel safe.
    pub(super) async fn read(&self, keys: &[Key]) -> Result<Read, ReadError> {
        match self.find(Request::Keys(keys)).await? {
            Found::Keys(read) => Ok(read),
            Found::Range(_) | Found::Rows(_) => Err(mixed_up()),
        }
    }

    /// Reads a page. Cancel safe.
    pub(super) async fn scan(&self, scan: &Scan) -> Result<Page, ReadError> {
        match self.find(Request::Range(scan)).await? {
            Found::Range(page) => Ok(page),
            Found::Keys(_) | Found::Rows(_) => Err(mixed_up()),
        }
    }

    /// Reads what a statement gives. Cancel safe.
    pub(super) async fn query(
        &self,
        statement: &str,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>, ReadError> {
        let statement = expand(statement, &self.connector.options.schema);
        match self.find(Request::Rows(&statement, arguments)).await? {
            Found::Rows(rows) => Ok(rows),
            Found::Keys(_) | Found::Range(_) => Err(mixed_up()),
        }
    }

    /// Removes what nobody reads any more. Gives how much it was.
    pub(super) async fn remove(&self, statement: &str, arguments: &[Argument<'_>]) -> Result<u64, ReadError> {
        let statement = expand(statement, &self.connector.options.schema);
        let reading = self.reading().await?;
        let work = async {
            let removed = reading.session.client.execute(&statement, arguments).await;
            removed.map_err(|error| read_error(&error))
        };
        within(self.connector.options.statement_timeout, work).await
    }

    /// Forgets the tokens, and the moments, up to a version. Gives whether there may be more.
    pub(super) async fn forget(&self, until: Version) -> Result<bool, ReadError> {
        const CHUNK: i64 = 5_000;
        let until = super::checksum::to_database(until);
        let mut removed = 0;
        for (table, column) in [("tokens", "token"), ("moments", "version")] {
            // The latest moment stays, whatever is asked for: the line goes on from it.
            let statement = format!(
                "DELETE FROM {{schema}}.{table} WHERE {column} IN (SELECT {column} FROM {{schema}}.{table} \
                 WHERE version <= $1 AND version < (SELECT max(version) FROM {{schema}}.moments) \
                 ORDER BY version LIMIT $2)"
            );
            removed = removed.max(self.remove(&statement, &[&until, &CHUNK]).await?);
        }
        Ok(removed >= CHUNK.unsigned_abs())
    }

    async fn find(&self, request: Request<'_>) -> Result<Found, ReadError> {
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(ReadError::Unavailable("too many reads are under way".into()));
        };
        let reading = self.reading().await?;
        match self.try_find(&reading, request).await {
            // The connection broke under way, maybe long ago; reading again is harmless.
            Err(ReadError::Unavailable(_)) if reading.session.is_closed() => {
                let reading = self.reading().await?;
                self.try_find(&reading, request).await
            }
            found => found,
        }
    }

    async fn try_find(&self, reading: &Reading, request: Request<'_>) -> Result<Found, ReadError> {
        let client = &reading.session.client;
        let work = async {
            match request {
                Request::Keys(keys) => reading.statements.read(client, keys).await.map(Found::Keys),
                Request::Range(scan) => reading.statements.scan(client, scan).await.map(Found::Range),
                Request::Rows(statement, arguments) => {
                    let rows = client.query(statement, arguments).await;
                    rows.map(Found::Rows).map_err(|error| read_error(&error))
                }
            }
        };
        within(self.connector.options.statement_timeout, work).await
    }

    async fn reading(&self) -> Result<Arc<Reading>, ReadError> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let Some(slot) = self.slots.get(next) else {
            return Err(mixed_up());
        };
        let mut slot = slot.lock().await;
        if let Some(reading) = slot.as_ref().filter(|reading| !reading.session.is_closed()) {
            return Ok(reading.clone());
        }
        let reading = Reading::open(&self.connector).await;
        let reading = Arc::new(reading.map_err(|error| ReadError::Unavailable(error.to_string().into()))?);
        *slot = Some(reading.clone());
        Ok(reading)
    }
}

impl Reading {
    pub(super) async fn open(connector: &Connector) -> Result<Self, OpenError> {
        let session = connector.session().await?;
        let statements = Statements::prepare(&session.client, &connector.options.schema).await;
        let statements = statements.map_err(|error| OpenError::Unavailable(describe(&error)))?;
        Ok(Self { session, statements })
    }
}

/// The server keeps this limit too, unless it cannot be heard.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let reason = format!("the database gave no answer for {} ms", limit.as_millis());
        Err(ReadError::Unavailable(reason.into()))
    })
}

fn mixed_up() -> ReadError {
    ReadError::Unavailable("the connections to the database are mixed up".into())
}
