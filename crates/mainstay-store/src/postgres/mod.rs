//! The store on PostgreSQL (14 or newer), for any number of processes.
//!
//! ```text
//!   commit ──> queue ──> committer ── one call a group ──> commit_group()  one group at a time, by an advisory lock
//!   read ─────> connections that reads share ────────────> one statement, so one moment
//!   snapshot ─> a connection of its own ─────────────────> REPEATABLE READ
//!   watch <──── listener <── NOTIFY with each group ──────
//! ```
//!
//! The function `commit_group` decides about each batch on the server, so a group costs one round trip and one sync of
//! the server's log. The lock puts the groups of all processes into one line; versions are given out under it.
//!
//! When the connection breaks under way, the outcome is unknown; the next connection of the process makes sure that
//! nothing of the broken one takes effect any more before it commits, so a batch that is committed again with its token
//! gets an answer that stays true.
//!
//! Other calls that take their turn in the line (`turns.rs`) keep changes for followers and make the store a copy of another
//! one, which is so for every process that uses the schema.

mod checksum;
mod committer;
mod copies;
mod destroy;
mod error;
mod feed;
mod fenced;
mod group;
mod listener;
mod options;
mod pool;
mod queue;
mod reader;
mod replication;
mod schema;
mod session;
mod snapshots;
mod turns;
mod upkeep;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::committer::Commits;
pub use self::destroy::DestroyError;
pub use self::error::OpenError;
use self::listener::Listener;
pub use self::options::{Options, SchemaName};
use self::pool::Pool;
use self::queue::{Entrance, Waiting};
use self::session::Connector;
use self::snapshots::Snapshots;
use self::turns::Turns;
use crate::batch::Batch;
use crate::error::{CommitError, ReadError, check_read};
use crate::key::Key;
use crate::port::{Commit, Page, Read, Reply, Scan, Snapshot, Store};
use crate::watch::{KeyWatch, Watch, Watchers};

/// The store on PostgreSQL. When it is dropped, what waits is still committed in the background; nobody is told of
/// changes any more.
pub struct Postgres {
    queue: Entrance,
    pool: Arc<Pool>,
    snapshots: Snapshots,
    turns: Turns,
    max_feed_bytes: u64,
    watchers: Arc<Watchers>,
    helpers: Vec<JoinHandle<()>>,
}

impl Postgres {
    /// Connects, and makes the tables or brings them up to date. Needs a runtime for as long as the store lives.
    ///
    /// Cancel safe: migrations are made wholly or not at all.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let (queue, exit) = queue::queue(options.max_waiting_batches, options.max_waiting_bytes);
        let connector = Connector::new(options)?;
        let mut session = connector.session().await?;
        schema::migrate(&mut session.client, &connector.options.schema).await?;
        let id = fenced::new_id(&session.client).await?;
        drop(session);
        let turns = Turns::new(connector.clone(), &id);
        let watchers = Arc::new(Watchers::default());
        let pool = Arc::new(Pool::new(connector.clone()));
        let listener = Listener::open(&connector).await?;
        let commits = Commits::new(connector.clone(), exit, watchers.clone(), id);
        let line = commits.open().await?;
        // It ends by itself, when the queue is closed and empty.
        tokio::spawn(commits.run(line));
        let helpers = vec![
            tokio::spawn(listener::run(connector.clone(), listener, watchers.clone())),
            tokio::spawn(upkeep::run(pool.clone())),
        ];
        Ok(Self {
            queue,
            pool,
            turns,
            max_feed_bytes: connector.options.max_feed_bytes,
            snapshots: Snapshots::new(connector),
            watchers,
            helpers,
        })
    }
}

#[cfg(feature = "conformance")]
impl Postgres {
    /// Forgets the tokens that were used up to `until`, as upkeep does with those that are old. For tests, which cannot
    /// wait for that long. Cancel safe.
    pub async fn forget_tokens(&self, until: crate::Version) -> Result<(), ReadError> {
        while self.pool.forget(until).await? {}
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for helper in &self.helpers {
            helper.abort();
        }
        self.watchers.close();
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Postgres")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Store for Postgres {
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>> {
        if let Err(invalid) = batch.check() {
            return Reply::ready(Err(invalid.into()));
        }
        let (answer, answered) = oneshot::channel();
        if let Err(refusal) = self.queue.push(Waiting { batch, answer }) {
            return Reply::ready(Err(refusal));
        }
        Reply::waiting(async move {
            answered.await.unwrap_or_else(|_| {
                let reason = "the committer stopped".into();
                Err(CommitError::UnknownOutcome(reason))
            })
        })
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        if let Err(refusal) = check_read(keys.len()) {
            return Reply::ready(Err(refusal));
        }
        Reply::waiting(self.pool.read(keys))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::waiting(self.pool.scan(scan))
    }

    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>> {
        Reply::waiting(async move { Ok(Box::new(self.snapshots.open().await?) as Box<dyn Snapshot>) })
    }

    fn watch(&self, prefix: Bytes) -> Watch {
        self.watchers.watch(prefix)
    }

    fn watch_keys(&self, prefix: Bytes) -> KeyWatch {
        self.watchers.watch_keys(prefix)
    }
}
