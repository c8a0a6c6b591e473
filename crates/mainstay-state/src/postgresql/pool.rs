//! Connections to the database, each used by one call at a time.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_postgres::{Postgres, PostgresError, Session, describe};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::options::Options;
use super::table::{self, Names};
use crate::calls::Calls;

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// Too many calls wait.
    Busy,
    /// The database cannot be used.
    Unavailable(PostgresError),
}

/// How many there are when nothing is said: with fewer processors as many.
const MIN_CONNECTIONS: usize = 4;

/// How long one is kept that nobody needs, when nothing is said.
const MAX_IDLE_TIME: Duration = Duration::from_secs(1_800);

/// The connections.
pub(super) struct Pool {
    server: Postgres,
    names: Names,
    timeout: Duration,
    max_idle_time: Duration,
    idle: Mutex<Vec<Idle>>,
    calls: Calls,
    connections: Semaphore,
    has_tables: AtomicBool,
    is_durable: AtomicBool,
}

struct Idle {
    session: Session,
    since: Instant,
}

/// A connection that is in use. It is closed when this is dropped, unless it was given back.
pub(super) struct Lease<'a> {
    session: Session,
    pool: &'a Pool,
    _places: (SemaphorePermit<'a>, SemaphorePermit<'a>),
}

impl Pool {
    /// Does not connect yet.
    pub(super) fn new(options: &Options) -> Result<Self, PostgresError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let connections = options.server.max_connections;
        let connections = connections.unwrap_or(processors.max(MIN_CONNECTIONS));
        Ok(Self {
            server: Postgres::new(options.server.clone())?,
            names: Names::new(&options.table, &options.metadata_table),
            timeout: options.server.timeout,
            max_idle_time: options.server.max_idle_time.unwrap_or(MAX_IDLE_TIME),
            idle: Mutex::default(),
            calls: Calls::default(),
            connections: Semaphore::new(connections),
            has_tables: AtomicBool::new(false),
            is_durable: AtomicBool::new(false),
        })
    }

    /// Whether the server is known to write to its disk before it answers.
    pub(super) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Relaxed)
    }

    /// A connection for a call of about so many bytes, when one is free or can be made in time. Cancel safe.
    pub(super) async fn lease(&self, bytes: usize) -> Result<Lease<'_>, NoConnection> {
        let Some(call) = self.calls.enter(bytes) else {
            return Err(NoConnection::Busy);
        };
        let leasing = async {
            let Ok(connection) = self.connections.acquire().await else {
                return Err(NoConnection::Busy);
            };
            let session = match self.take_idle() {
                Some(session) => session,
                None => self.open().await.map_err(NoConnection::Unavailable)?,
            };
            Ok(Lease {
                session,
                pool: self,
                _places: (call, connection),
            })
        };
        let limit = self.timeout;
        timeout(limit, leasing).await.unwrap_or_else(|_| {
            let reason = format!(
                "no connection was free or could be made within {} ms",
                limit.as_millis()
            );
            Err(NoConnection::Unavailable(PostgresError::Unavailable(
                reason.into(),
            )))
        })
    }

    /// The one that was used last, so that those too many get old.
    fn take_idle(&self) -> Option<Session> {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.retain(|idle| !idle.session.is_closed() && now.duration_since(idle.since) < self.max_idle_time);
        idle.pop().map(|idle| idle.session)
    }

    async fn open(&self) -> Result<Session, PostgresError> {
        let mut session = self.server.session().await?;
        let is_durable = set_up(&session, self.timeout).await;
        let is_durable = is_durable.map_err(|error| PostgresError::Unavailable(describe(&error)))?;
        self.is_durable.store(is_durable, Ordering::Relaxed);
        if !self.has_tables.load(Ordering::Relaxed) {
            let ensured = table::ensure(&mut session, &self.names).await;
            ensured.map_err(PostgresError::Refused)?;
            self.has_tables.store(true, Ordering::Relaxed);
        }
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what a session needs, whatever the server's defaults are. Gives whether the server is known to be durable.
async fn set_up(client: &Client, limit: Duration) -> Result<bool, tokio_postgres::Error> {
    let limit_ms = limit.as_millis();
    let settings = format!(
        "SET synchronous_commit = on; \
         SET default_transaction_isolation = 'read committed'; \
         SET default_transaction_read_only = off; \
         SET statement_timeout = {limit_ms}; \
         SET idle_in_transaction_session_timeout = {limit_ms};"
    );
    client.batch_execute(&settings).await?;
    let ask = "SELECT coalesce(current_setting('fsync', true) = 'on', false)";
    client
        .query_typed(ask, &[])
        .await?
        .first()
        .map_or(Ok(false), |row| row.try_get(0))
}

impl Lease<'_> {
    /// Gives the connection back, for others to use. Only when nothing is under way on it any more.
    pub(super) fn give_back(self) {
        let Self { session, pool, .. } = self;
        let since = Instant::now();
        pool.lock().push(Idle { session, since });
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.session
    }
}

impl Deref for Lease<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.session
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
