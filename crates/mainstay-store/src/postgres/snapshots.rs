//! Snapshots: each is a transaction of its own that sees what was there when it began (`REPEATABLE READ`), on a
//! connection of its own.
//!
//! The other way, old versions in rows of our own, would make every write and every scan pay for what is rarely used, and
//! need a collector; the server has one already. The price: while a snapshot lives, the server keeps what it shows, in
//! all its tables, and a key that is written very often meanwhile gets slower to read. So their number and their life are
//! bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::checksum::from_database;
use super::error::read_error;
use super::pool::{Reading, within};
use super::reader::MOMENT;
use super::schema::expand;
use super::session::Connector;
use crate::error::{ReadError, check_read};
use crate::key::Key;
use crate::port::{Page, Read, Reply, SNAPSHOT_LIFETIME, Scan, Snapshot};
use crate::version::Version;

/// Makes snapshots.
pub(super) struct Snapshots {
    connector: Connector,
    permits: Arc<Semaphore>,
}

/// A snapshot. Its transaction ends when it is dropped, or is too old.
pub(super) struct Held {
    version: Version,
    /// How long a read may take.
    limit: Duration,
    reading: Arc<Mutex<Option<Reading>>>,
    end: JoinHandle<()>,
    _permit: OwnedSemaphorePermit,
}

impl Snapshots {
    pub(super) fn new(connector: Connector) -> Self {
        let permits = Arc::new(Semaphore::new(connector.options.max_snapshots));
        Self { connector, permits }
    }

    pub(super) async fn open(&self) -> Result<Held, ReadError> {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            let most = self.connector.options.max_snapshots;
            let reason = format!("{most} snapshots are open, and no more may be");
            return Err(ReadError::Unavailable(reason.into()));
        };
        let reading = Reading::open(&self.connector).await;
        let reading = reading.map_err(|error| ReadError::Unavailable(error.to_string().into()))?;
        let version = begin(&self.connector, &reading)
            .await
            .map_err(|error| read_error(&error))?;
        let reading = Arc::new(Mutex::new(Some(reading)));
        let ending = reading.clone();
        let end = tokio::spawn(async move {
            tokio::time::sleep(SNAPSHOT_LIFETIME).await;
            *ending.lock().await = None;
        });
        Ok(Held {
            version,
            limit: self.connector.options.statement_timeout,
            reading,
            end,
            _permit: permit,
        })
    }
}

/// The first statement of the transaction fixes what it sees.
async fn begin(connector: &Connector, reading: &Reading) -> Result<Version, tokio_postgres::Error> {
    let client = &reading.session.client;
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let ask = expand(&format!("SELECT {MOMENT}"), &connector.options.schema);
    let row = client.query_one(&ask, &[]).await?;
    Ok(from_database(row.try_get(0)?))
}

impl Held {
    async fn read_now(&self, keys: &[Key]) -> Result<Read, ReadError> {
        check_read(keys.len())?;
        let mut held = self.reading.lock().await;
        let reading = alive(held.as_ref())?;
        let read = reading.statements.read(&reading.session.client, keys);
        let read = within(self.limit, read).await;
        end_if_lost(&mut held, read)
    }

    async fn scan_now(&self, scan: &Scan) -> Result<Page, ReadError> {
        let mut held = self.reading.lock().await;
        let reading = alive(held.as_ref())?;
        let page = reading.statements.scan(&reading.session.client, scan);
        let page = within(self.limit, page).await;
        end_if_lost(&mut held, page)
    }
}

impl Snapshot for Held {
    fn version(&self) -> Version {
        self.version
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        Reply::waiting(self.read_now(keys))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::waiting(self.scan_now(scan))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version;
        formatter
            .debug_struct("Held")
            .field("version", &version)
            .finish_non_exhaustive()
    }
}

fn alive(reading: Option<&Reading>) -> Result<&Reading, ReadError> {
    reading.ok_or(ReadError::SnapshotTooOld)
}

/// A snapshot ends with its connection, and with any error of the server, which undoes its transaction. A new one can be
/// taken when the server is back.
fn end_if_lost<T>(held: &mut Option<Reading>, found: Result<T, ReadError>) -> Result<T, ReadError> {
    if let Err(ReadError::Unavailable(reason)) = &found {
        tracing::warn!(%reason, "a snapshot of the store's database was lost");
        *held = None;
        return Err(ReadError::SnapshotTooOld);
    }
    found
}
