//! `state.postgresql`: state in a table of the users' own database (PostgreSQL 13 or newer), shaped as Dapr's component of
//! version 2 does, so that both can share it.
//!
//! ```text
//!   get      ──> one SELECT
//!   transact ──> one statement that checks and writes; BEGIN and COMMIT travel with it
//!   list     ──> one SELECT a page; whoever watches lists every second
//!   query    ──> a cursor over the keys with the prefix; filtered and sorted here
//!   sweep    ──> DELETE of what has expired, by one process at a time
//!
//!   key text │ value bytea │ etag uuid, new with every set │ created, updated, expires at │ content_type: not in Dapr
//! ```
//!
//! A change of several keys is `SERIALIZABLE`, one with a requirement `REPEATABLE READ`; whatever PostgreSQL then takes back
//! because of others is decided again. Nothing is prepared that outlives a call.

mod change;
mod error;
mod key;
mod options;
mod pool;
mod read;
mod sweep;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay_postgres::PostgresError;
use mainstay_store::{CommitError, ReadError, Reply};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use self::change::{Change, Refusal};
pub use self::options::{InvalidOptions, InvalidTableName, METADATA_NAMES, Options, TableName};
use self::pool::{NoConnection, Pool};
use self::table::Names;
use crate::backoff;
use crate::error::StateError;
use crate::limits::MAX_VALUE_BYTES;
use crate::listing::{ListPage, Listing};
use crate::port::{
    Consistency, Features, Item, Operation, StateStore, check_bytes, check_keys, check_operations,
};
use crate::query::{Query, QueryPage, Selection};
use crate::watch::Watch;

/// How often a change is decided again because others changed the same keys meanwhile.
const MAX_ATTEMPTS: u32 = 64;

/// How many values a query fetches at once.
const QUERY_PAGE: i32 = 64;

/// How often a table is looked at that is watched.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How much later than the server we give up waiting for it.
const GRACE: Duration = Duration::from_secs(1);

/// The component. Clones are the same one.
///
/// It connects when it is first asked, and again when a connection broke. What was sent over a connection that then broke may
/// be done or not: [`CommitError::UnknownOutcome`].
#[derive(Clone)]
pub struct Postgresql {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    names: Names,
    timeout: Duration,
}

impl Postgresql {
    /// The component in this database. Does not connect yet.
    pub fn new(options: &Options) -> Result<Self, PostgresError> {
        let shared = Shared {
            pool: Pool::new(options)?,
            names: Names::new(&options.table, &options.metadata_table),
            timeout: options.server.timeout,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Connects and makes the tables, to learn whether it can. [`StateStore::features`] knows more afterwards.
    ///
    /// Cancel safe: the tables are made wholly or not at all.
    pub async fn connect(&self) -> Result<(), StateError> {
        self.shared.pool.lease(0).await.map_err(no_read)?.give_back();
        Ok(())
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Option<Item>>, StateError> {
        check_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut tries = 2;
        loop {
            tries -= 1;
            let lease = self.shared.pool.lease(0).await.map_err(no_read)?;
            let reading = read::read(&lease, &self.shared.names, keys);
            match timeout(self.shared.timeout + GRACE, reading).await {
                Ok(Ok(items)) => {
                    lease.give_back();
                    return Ok(items);
                }
                // The connection broke, maybe long ago; to read again is harmless.
                Ok(Err(error)) if error.code().is_none() && tries > 0 => {}
                Ok(Err(error)) => return Err(error::not_read(error.into())),
                Err(_) => return Err(ReadError::Unavailable(self.silence()).into()),
            }
        }
    }

    async fn list_page(&self, listing: &Listing) -> Result<ListPage, StateError> {
        let lease = self.shared.pool.lease(0).await.map_err(no_read)?;
        let listing = read::list(&lease, &self.shared.names, listing);
        let page = timeout(self.shared.timeout + GRACE, listing).await;
        let page = page.map_err(|_| ReadError::Unavailable(self.silence()))?;
        let page = page.map_err(|error| error::not_read(error.into()))?;
        lease.give_back();
        Ok(page)
    }

    async fn write(&self, operations: &[Operation]) -> Result<(), StateError> {
        check_operations(operations, MAX_VALUE_BYTES)?;
        let bytes = check_bytes(operations)?;
        if operations.is_empty() {
            return Ok(());
        }
        let change = Change::new(operations);
        for attempt in 0..MAX_ATTEMPTS {
            match self.try_change(&change, bytes).await? {
                Attempt::Done => return Ok(()),
                Attempt::Refused(refusal) => return change::refused(operations, &refusal),
                Attempt::TakenBack => backoff::pause(attempt).await,
            }
        }
        let keys: Vec<&str> = operations.iter().map(Operation::key).take(3).collect();
        Err(StateError::Contended(keys.join(", ")))
    }

    async fn try_change(&self, change: &Change<'_>, bytes: usize) -> Result<Attempt, StateError> {
        let lease = self.shared.pool.lease(bytes).await.map_err(no_write)?;
        let running = change.run(&lease, &self.shared.names);
        match timeout(self.shared.timeout + GRACE, running).await {
            Ok(Ok(refusal)) => {
                lease.give_back();
                Ok(refusal.map_or(Attempt::Done, Attempt::Refused))
            }
            Ok(Err(error)) if is_taken_back(&error) => {
                lease.give_back();
                Ok(Attempt::TakenBack)
            }
            Ok(Err(error)) => Err(error::not_written(error.into())),
            Err(_) => Err(CommitError::UnknownOutcome(self.silence()).into()),
        }
    }

    async fn select(&self, query: &Query, prefix: &str) -> Result<QueryPage, StateError> {
        let mut lease = self.shared.pool.lease(0).await.map_err(no_read)?;
        let selecting = self.select_in(lease.client_mut(), query, prefix);
        let page = timeout(self.shared.timeout + GRACE, selecting)
            .await
            .unwrap_or_else(|_| Err(ReadError::Unavailable(self.silence()).into()))?;
        lease.give_back();
        Ok(page)
    }

    async fn select_in(
        &self,
        client: &mut tokio_postgres::Client,
        query: &Query,
        prefix: &str,
    ) -> Result<QueryPage, StateError> {
        let failed = |error: tokio_postgres::Error| error::not_read(error.into());
        // One statement sees one moment, however slowly its results are fetched.
        let transaction = client
            .build_transaction()
            .read_only(true)
            .start()
            .await
            .map_err(failed)?;
        let statement = read::by_pattern(&self.shared.names);
        let statement = transaction
            .prepare_typed(&statement, &[Type::TEXT])
            .await
            .map_err(failed)?;
        let portal = transaction
            .bind(&statement, &[&key::pattern(prefix)])
            .await
            .map_err(failed)?;
        let mut selection = Selection::new(query, prefix);
        loop {
            let rows = transaction
                .query_portal(&portal, QUERY_PAGE)
                .await
                .map_err(failed)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if let Some((key, item)) = read::entry(row).map_err(failed)? {
                    selection.offer(&key, item)?;
                }
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(selection.finish())
    }

    fn silence(&self) -> Arc<str> {
        let limit_ms = (self.shared.timeout + GRACE).as_millis();
        format!("the database gave no answer for {limit_ms} ms").into()
    }
}

/// What came of one attempt to make a change.
enum Attempt {
    Done,
    Refused(Refusal),
    /// Others changed the same keys; nothing was written.
    TakenBack,
}

impl StateStore for Postgresql {
    /// Durable when the server is known to run with `fsync = on`.
    fn features(&self) -> Features {
        Features {
            durable: self.shared.pool.is_durable(),
            query: true,
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        _: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        Reply::waiting(self.read(keys))
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        Reply::waiting(self.select(query, prefix))
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        Reply::waiting(self.list_page(listing))
    }

    /// By looking again and again: that the database tells by itself would take a trigger on a table that may be Dapr's too.
    fn watch<'a>(&'a self, _: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        Reply::ready(Ok(Watch::of_clock(LOOK_INTERVAL)))
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(async move { self.write(&operations).await })
    }
}

impl fmt::Debug for Postgresql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Postgresql")
            .field("pool", &self.shared.pool)
            .finish_non_exhaustive()
    }
}

fn is_taken_back(error: &tokio_postgres::Error) -> bool {
    let codes = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

fn no_read(reason: NoConnection) -> StateError {
    match reason {
        NoConnection::Busy => ReadError::Unavailable("too many calls wait for a connection".into()).into(),
        NoConnection::Unavailable(error) => error::not_read(error),
    }
}

fn no_write(reason: NoConnection) -> StateError {
    match reason {
        NoConnection::Busy => CommitError::Overloaded.into(),
        // Nothing was sent.
        NoConnection::Unavailable(error) => CommitError::Unavailable(error.to_string().into()).into(),
    }
}
