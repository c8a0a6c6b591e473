//! The embedded store: a log and a tree in one folder, for one process.
//!
//! ```text
//!   commit ──> queue ──> committer ──> log (one write, one fdatasync a group)
//!                            │
//!                            └──> tree's memory ──> flusher ──> tree's files <── compactor
//!   read ──────────────────────────────> tree, at a moment
//! ```
//!
//! The tree is `lsm-tree`, the engine of fjall; the log is our own, because fjall's cannot keep the port's promises: it
//! takes a damaged byte in the middle of its journal for the end of it and drops what follows, and its checksums leave
//! sequence numbers out.
//!
//! Followers are told of commits from the tree as well, where each is kept once more for as long as somebody needs it, see
//! `feed`. What comes from another store goes through the committer like commits do, see `group::copies`.
//!
//! Reads do not wait for anything but the disk, and block the caller's thread for that: a value that is not in memory
//! costs one read of 4 KiB.

mod checksum;
mod committer;
mod directory;
mod error;
mod feed;
mod group;
mod line;
mod log;
mod open;
mod options;
mod pace;
mod pending;
mod queue;
mod recent;
mod replicated;
mod snapshots;
mod space;
mod tokens;
mod tree;
mod upkeep;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::oneshot;

use self::directory::Directory;
pub use self::error::OpenError;
use self::log::file::{Disk, Medium};
pub use self::options::Options;
use self::queue::{Queue, Work};
use self::snapshots::{Moment, Snapshots};
use self::tree::{Tree, TreeError};
use self::upkeep::Upkeep;
use crate::batch::Batch;
use crate::error::{CommitError, ReadError, check_read};
use crate::key::{Key, Value};
use crate::page;
use crate::port::{Commit, Direction, Entry, Page, Read, Reply, Scan, Snapshot, Store, Stored};
use crate::watch::{KeyWatch, Watch, Watchers};

/// The embedded store. It is closed when it is dropped, which waits for what is being committed.
#[derive(Debug)]
pub struct Embedded {
    reader: Reader,
    queue: Arc<Queue>,
    upkeep: Arc<Upkeep>,
    watchers: Arc<Watchers>,
    committer: Mutex<Option<JoinHandle<()>>>,
    helpers: Mutex<Vec<JoinHandle<()>>>,
    /// Last, so that the lock goes when everything else has.
    _directory: Directory,
}

/// What reads need.
#[derive(Clone, Debug)]
struct Reader {
    tree: Tree,
    snapshots: Arc<Snapshots>,
}

impl Embedded {
    /// Opens the store in a folder, or makes it.
    ///
    /// Blocks for as long as it takes to read what was committed since the last flush, some tenths of a second at most.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Self::open_on(options, || Box::new(Disk))
    }

    fn open_on(options: &Options, medium: impl Fn() -> Box<dyn Medium>) -> Result<Self, OpenError> {
        open::open(options, medium)
    }

    /// Commits what waits, then stops. Blocks until that is done. Further commits are refused; reads still work.
    pub fn close(&self) {
        self.queue.close();
        let committer = self
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A thread that panicked has said so.
        let _ = committer.map(JoinHandle::join);
        self.upkeep.close();
        let helpers = std::mem::take(&mut *self.helpers.lock().unwrap_or_else(PoisonError::into_inner));
        for helper in helpers {
            let _ = helper.join();
        }
        self.watchers.close();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for Embedded {
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>> {
        if let Err(invalid) = batch.check() {
            return Reply::ready(Err(invalid.into()));
        }
        let (answer, answered) = oneshot::channel();
        if let Err(refusal) = self.queue.push(Work::Commit(batch, answer)) {
            return Reply::ready(Err(refusal));
        }
        Reply::waiting(async move { answered.await.unwrap_or_else(|_| Err(abandoned())) })
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        Reply::ready(self.reader.read(&self.reader.snapshots.open(), keys))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::ready(self.reader.scan(&self.reader.snapshots.open(), scan))
    }

    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>> {
        Reply::ready(Ok(Box::new(Held {
            moment: self.reader.snapshots.open(),
            reader: self.reader.clone(),
        })))
    }

    /// Only a disk that fails leaves an outcome unknown, and then the store stops.
    fn resolves_outcomes(&self) -> bool {
        false
    }

    fn watch(&self, prefix: Bytes) -> Watch {
        self.watchers.watch(prefix)
    }

    fn watch_keys(&self, prefix: Bytes) -> KeyWatch {
        self.watchers.watch_keys(prefix)
    }
}

/// What somebody is told whom the committer left without an answer.
fn abandoned() -> CommitError {
    CommitError::UnknownOutcome("the committer stopped".into())
}

/// A snapshot.
#[derive(Debug)]
struct Held {
    moment: Moment,
    reader: Reader,
}

impl Snapshot for Held {
    fn version(&self) -> crate::Version {
        self.moment.version()
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        Reply::ready(self.reader.read(&self.moment, keys))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::ready(self.reader.scan(&self.moment, scan))
    }
}

impl Reader {
    fn read(&self, moment: &Moment, keys: &[Key]) -> Result<Read, ReadError> {
        check_read(keys.len())?;
        let values = keys.iter().map(|key| {
            let found = self.tree.get(&space::data(key.as_ref()), moment.bound())?;
            Ok(found.map(|(version, bytes)| Stored {
                value: Value::trusted(bytes),
                version,
            }))
        });
        Ok(Read {
            at: moment.version(),
            values: values.collect::<Result<_, ReadError>>()?,
        })
    }

    fn scan(&self, moment: &Moment, scan: &Scan) -> Result<Page, ReadError> {
        let found = self.tree.range(space::range(&scan.range), moment.bound());
        let entries = found.map(|found| {
            let (tree_key, version, bytes) = found?;
            Ok(Entry {
                key: space::key(&tree_key),
                value: Value::trusted(bytes),
                version,
            })
        });
        match scan.direction {
            Direction::Forward => page::fill(scan, moment.version(), entries),
            Direction::Backward => page::fill(scan, moment.version(), entries.rev()),
        }
    }
}

impl From<TreeError> for ReadError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Damaged(damage) => Self::Damaged(damage),
            TreeError::Io(error) => Self::Unavailable(error.to_string().into()),
        }
    }
}

impl From<TreeError> for CommitError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Damaged(damage) => Self::Damaged(damage),
            TreeError::Io(error) => Self::Unavailable(error.to_string().into()),
        }
    }
}

#[cfg(test)]
mod tests;
