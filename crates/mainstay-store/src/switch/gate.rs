//! Who commits, and who waits until it is clear to which store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_base::Ended;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::batch::Batch;
use crate::error::CommitError;
use crate::limits::MAX_BATCH_BYTES;

/// How long a commit waits for a pause to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How much may wait for a pause to end, in bytes; more is refused.
const MAX_WAITING_BYTES: usize = 64 * 1_024 * 1_024;

/// What a batch counts for at least: so many fit at most.
const LEAST_BYTES: usize = 8 * 1_024;

/// Counts commits under way, and holds back new ones during a pause.
#[derive(Debug)]
pub(super) struct Gate {
    /// Commits that were handed to a store and are not answered.
    under_way: AtomicUsize,
    is_paused: AtomicBool,
    /// Nothing is under way any more.
    idle: Notify,
    /// The pause has ended.
    opened: Notify,
    room: Semaphore,
}

/// Commits are held back for as long as this lives.
#[derive(Debug)]
pub(super) struct Pause(Arc<Gate>);

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
            idle: Notify::new(),
            opened: Notify::new(),
            room: Semaphore::new(MAX_WAITING_BYTES),
        }
    }

    /// Counts a commit, unless there is a pause. Whoever gets `true` calls [`Ended::ended`] later.
    pub(super) fn enter(&self) -> bool {
        // First the count, then the look; a pause does it the other way round, so that one of them sees the other.
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let is_open = !self.is_paused.load(Ordering::SeqCst);
        if !is_open {
            self.ended();
        }
        is_open
    }

    /// Waits for the pause to end, and counts the commit then. Refused when too much waits, or for too long.
    pub(super) async fn enter_later(&self, batch: &Batch) -> Result<(), CommitError> {
        let _room = self.room_for(batch)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut opened = std::pin::pin!(self.opened.notified());
            // From here on the end of the pause is not missed.
            opened.as_mut().enable();
            if self.enter() {
                return Ok(());
            }
            timeout_at(deadline, opened)
                .await
                .map_err(|_| CommitError::Overloaded)?;
        }
    }

    fn room_for(&self, batch: &Batch) -> Result<SemaphorePermit<'_>, CommitError> {
        let bytes = batch.size_bytes().clamp(LEAST_BYTES, MAX_BATCH_BYTES);
        let permits = u32::try_from(bytes).map_err(|_| CommitError::Overloaded)?;
        let room = self.room.try_acquire_many(permits);
        room.map_err(|_| CommitError::Overloaded)
    }

    /// Holds commits back. `None` while somebody else does.
    pub(super) fn pause(self: &Arc<Self>) -> Option<Pause> {
        let was_paused = self.is_paused.swap(true, Ordering::SeqCst);
        (!was_paused).then(|| Pause(Arc::clone(self)))
    }
}

impl Ended for Gate {
    fn ended(&self) {
        let others = self.under_way.fetch_sub(1, Ordering::SeqCst) - 1;
        if others == 0 && self.is_paused.load(Ordering::SeqCst) {
            self.idle.notify_one();
        }
    }
}

impl Pause {
    /// Waits until all that was under way is answered. Says whether it was within `patience`. Cancel safe.
    pub(super) async fn is_idle_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            // A permit that is left from before only makes it look once more.
            let idle = self.0.idle.notified();
            if self.0.under_way.load(Ordering::SeqCst) == 0 {
                return true;
            }
            if timeout_at(deadline, idle).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.is_paused.store(false, Ordering::SeqCst);
        self.0.opened.notify_waiters();
    }
}
