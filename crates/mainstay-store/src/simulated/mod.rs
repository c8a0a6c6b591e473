//! A store in memory that fails on purpose: for tests of what stands on the port.
//!
//! Everything it decides comes from a seed, so a run on a single-threaded runtime repeats exactly. It keeps every rule of
//! the port while it fails: a conflict it makes up is a real one, caused by a rival that touches the key; an unknown
//! outcome is decided, only not told; what was answered survives a crash.

mod faults;
mod feed;
mod replica;
mod state;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

pub use self::faults::{Faults, Step};
use self::state::{Moment, State};
use crate::batch::Batch;
use crate::error::{CommitError, ReadError, check_read};
use crate::key::Key;
use crate::port::{Commit, Page, Read, Reply, Scan, Snapshot, Store};
use crate::version::Version;
use crate::watch::{KeyWatch, Watch, Watchers};

/// The store in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Simulated {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    watchers: Watchers,
}

impl Simulated {
    /// A store that does not fail.
    pub fn new() -> Self {
        Self::with_faults(0, Faults::default())
    }

    /// A store that fails as `faults` says, decided by `seed`.
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(seed, faults)),
                watchers: Watchers::default(),
            }),
        }
    }

    /// Crashes when the next commit has come to `step`.
    pub fn crash_at(&self, step: Step) {
        self.lock().crash_at(step);
    }

    /// Crashes now: what was not durable is gone, and nothing works until [`Simulated::recover`].
    pub fn crash(&self) {
        self.lock().crash();
    }

    /// Whether it has crashed.
    pub fn is_crashed(&self) -> bool {
        self.lock().is_crashed()
    }

    /// Starts again after a crash.
    pub fn recover(&self) {
        let version = self.lock().recover();
        self.shared.watchers.changed_anywhere(version);
    }

    /// Closes it for good.
    pub fn close(&self) {
        self.lock().close();
        self.shared.watchers.close();
    }

    /// Fails as `faults` says from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().set_faults(faults);
    }

    /// What rivals have committed so far, in order: a history is only complete with it.
    pub fn rivals(&self) -> Vec<(Version, Batch)> {
        self.lock().rivals()
    }

    async fn commit_batch(&self, batch: Batch) -> Result<Commit, CommitError> {
        batch.check()?;
        let delay = self.lock().begin()?;
        Yields(delay).await;
        let (outcome, delay) = {
            let mut state = self.lock();
            let outcome = state.commit(&batch);
            (outcome, state.delay())
        };
        if let Ok(commit) = &outcome.written {
            let keys = batch
                .resolved(commit.version)
                .map(|(key, _)| (key, commit.version));
            self.shared.watchers.changed(keys);
        }
        Yields(delay).await;
        outcome.answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Simulated {
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>> {
        Reply::waiting(self.commit_batch(batch))
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        Reply::waiting(async move {
            let moment = self.moment().await?;
            moment.read_now(keys)
        })
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::waiting(async move {
            let moment = self.moment().await?;
            moment.scan_now(scan)
        })
    }

    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>> {
        Reply::waiting(async move { Ok(Box::new(self.moment().await?) as Box<dyn Snapshot>) })
    }

    fn watch(&self, prefix: Bytes) -> Watch {
        self.shared.watchers.watch(prefix)
    }

    fn watch_keys(&self, prefix: Bytes) -> KeyWatch {
        self.shared.watchers.watch_keys(prefix)
    }
}

impl Simulated {
    async fn moment(&self) -> Result<Held, ReadError> {
        let delay = self.lock().delay();
        Yields(delay).await;
        let moment = self.lock().visible()?;
        Ok(Held {
            store: self.clone(),
            moment,
        })
    }
}

/// A snapshot.
#[derive(Debug)]
struct Held {
    store: Simulated,
    moment: Moment,
}

impl Held {
    fn read_now(&self, keys: &[Key]) -> Result<Read, ReadError> {
        check_read(keys.len())?;
        self.store.lock().read(self.moment, keys)
    }

    fn scan_now(&self, scan: &Scan) -> Result<Page, ReadError> {
        self.store.lock().scan(self.moment, scan)
    }
}

impl Snapshot for Held {
    fn version(&self) -> Version {
        self.moment.version
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        Reply::ready(self.read_now(keys))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        Reply::ready(self.scan_now(scan))
    }
}

/// Lets others go first so many times.
struct Yields(u32);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
