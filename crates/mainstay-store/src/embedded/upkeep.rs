//! What happens behind the committer: memory is flushed to files, log files that are not needed any more go, files are
//! merged.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::log::file::Medium;
use super::log::mark::MarkFile;
use super::log::recovery;
use super::log::writer::{file_name, is_full};
use super::pace::Pace;
use super::queue::Queue;
use super::snapshots::Snapshots;
use super::tree::{Tree, TreeError};
use crate::error::CommitError;

/// How long a flush that failed waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// So many states of the tree more than there are readers are usual.
const SPARE_STATES: usize = 2;

/// With more unsorted runs than this, flushing and merging are behind.
const LEISURELY_RUNS: usize = 12;

/// What the flusher, the compactor and the committer share.
#[derive(Debug)]
pub(super) struct Upkeep {
    state: Mutex<State>,
    changed: Condvar,
    /// The mark is written by the committer and by the flusher.
    mark: Mutex<MarkFile>,
    tree: Tree,
    snapshots: Arc<Snapshots>,
    queue: Arc<Queue>,
    pace: Arc<Pace>,
    log_folder: PathBuf,
    medium: Box<dyn Medium>,
    should_thin: AtomicBool,
    /// Room for a log file.
    reserve_bytes: u64,
    /// The committer begins the next log file while it holds this, so that nobody else touches it.
    log_files: Mutex<LogFiles>,
}

/// Which log files there are to write to.
#[derive(Debug)]
pub(super) struct LogFiles {
    /// The one that is written to.
    pub present: u64,
    /// Whether the next one is in its place already.
    pub is_next_placed: bool,
}

#[derive(Debug, Default)]
struct State {
    /// All log files up to this one are to be flushed.
    sealed_file: Option<u64>,
    should_compact: bool,
    /// Why flushing does not work at present.
    trouble: Option<CommitError>,
    closed: bool,
}

/// Where and how room for log files is set aside.
#[derive(Debug)]
pub(super) struct Room {
    pub folder: PathBuf,
    pub medium: Box<dyn Medium>,
    pub bytes: u64,
    /// The log file that is written to.
    pub present: u64,
}

impl Upkeep {
    pub(super) fn new(
        tree: Tree,
        snapshots: Arc<Snapshots>,
        queue: Arc<Queue>,
        pace: Arc<Pace>,
        mark: MarkFile,
        room: Room,
    ) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            mark: Mutex::new(mark),
            tree,
            snapshots,
            queue,
            pace,
            log_folder: room.folder,
            medium: room.medium,
            should_thin: AtomicBool::new(false),
            reserve_bytes: room.bytes,
            log_files: Mutex::new(LogFiles {
                present: room.present,
                is_next_placed: false,
            }),
        }
    }

    /// Memory was sealed whose commits are in log files up to `file`.
    pub(super) fn sealed(&self, file: u64) {
        self.set_pace();
        self.lock().sealed_file = Some(file);
        self.changed.notify_all();
    }

    /// Merge files, if there is something to merge.
    pub(super) fn should_compact(&self) {
        self.lock().should_compact = true;
        self.changed.notify_all();
    }

    /// Flushing and merging take their time unless they fall behind.
    fn set_pace(&self) {
        let is_behind = self.tree.sealed_count() > 1 || self.tree.run_count() > LEISURELY_RUNS;
        self.pace.set_urgent(is_behind);
    }

    /// Finish what is under way, then stop.
    pub(super) fn close(&self) {
        self.pace.close();
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits while `is_behind`, at most for `patience`. An error says why waiting is no use.
    pub(super) fn wait_while(
        &self,
        patience: Duration,
        mut is_behind: impl FnMut() -> bool,
    ) -> Result<(), CommitError> {
        let state = self.lock();
        let (state, timeout) = self
            .changed
            .wait_timeout_while(state, patience, |state| {
                state.trouble.is_none() && !state.closed && is_behind()
            })
            .unwrap_or_else(PoisonError::into_inner);
        match &state.trouble {
            Some(trouble) => Err(trouble.clone()),
            None if timeout.timed_out() => Err(CommitError::Overloaded),
            None => Ok(()),
        }
    }

    /// The flusher's life.
    pub(super) fn flush_until_closed(&self) {
        self.reserve();
        while let Some(file) = self.next_flush() {
            match self.flush(file) {
                Ok(()) => self.reserve(),
                Err(error) => {
                    tracing::error!(%error, "cannot flush the store's memory to disk; will try again");
                    self.in_trouble(file, &error);
                }
            }
        }
    }

    /// Sets room aside for the next log file and puts it in its place. Without it the log still works, only slower.
    fn reserve(&self) {
        if let Err(error) = self.place_next() {
            tracing::debug!(%error, "cannot set room aside for the store's log");
        }
    }

    fn place_next(&self) -> io::Result<()> {
        self.medium.reserve(&self.log_folder, self.reserve_bytes)?;
        let mut files = self.log_files();
        if !files.is_next_placed {
            self.medium.place(&self.next_file(&files))?;
            files.is_next_placed = true;
        }
        Ok(())
    }

    /// Gives back what was set aside for the log.
    fn release(&self) -> io::Result<()> {
        let mut files = self.log_files();
        let placed = files.is_next_placed.then(|| self.next_file(&files));
        // Even if it fails half way: the next file is then made anew.
        files.is_next_placed = false;
        self.medium.release(&self.log_folder, placed.as_deref())
    }

    fn next_file(&self, files: &LogFiles) -> PathBuf {
        file_name(&self.log_folder, files.present + 1)
    }

    pub(super) fn log_files(&self) -> MutexGuard<'_, LogFiles> {
        self.log_files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The compactor's life.
    pub(super) fn compact_until_closed(&self) {
        while self.next_compaction() {
            // Reads still work without it, only slower; the next flush asks again.
            if let Err(error) = self.compact() {
                tracing::error!(%error, "cannot merge files of the store");
            }
        }
    }

    /// Merges once; asks for more if there was something to merge.
    fn compact(&self) -> Result<(), TreeError> {
        if self.tree.compact(self.snapshots.watermark())? {
            self.set_pace();
            self.should_compact();
            // The present moment can move on to the merged files, so that the old ones can go.
            self.queue.nudge();
        }
        self.tree.forget(self.snapshots.watermark())?;
        self.look_at_states();
        Ok(())
    }

    /// Asks the committer to let go of states of the tree that nobody reads: it knows when nothing is under way.
    fn look_at_states(&self) {
        if self.tree.state_count() > self.snapshots.bounds().len() + SPARE_STATES {
            self.should_thin.store(true, Ordering::Relaxed);
            self.queue.nudge();
        }
    }

    /// Whether the tree remembers more than readers need; asked once.
    pub(super) fn should_thin(&self) -> bool {
        self.should_thin.load(Ordering::Relaxed) && self.should_thin.swap(false, Ordering::Relaxed)
    }

    fn next_flush(&self) -> Option<u64> {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, |state| state.sealed_file.is_none() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.sealed_file.take()
    }

    fn next_compaction(&self) -> bool {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, |state| !state.should_compact && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.should_compact = false;
        !state.closed
    }

    /// Flushes what is sealed; then the log up to `file` is not needed any more.
    fn flush(&self, file: u64) -> Result<(), TreeError> {
        self.tree.flush(self.snapshots.watermark())?;
        self.set_pace();
        let (first_needless, mark_file) = {
            let mut marks = self.mark();
            let before = marks.get();
            let mut mark = before;
            mark.first_file = file + 1;
            marks.write(mark)?;
            (before.first_file, marks.file())
        };
        // Before the files go: a mark that still asks for them would make them look lost. The committer goes on meanwhile.
        mark_file.sync_data()?;
        recovery::remove(&self.log_folder, first_needless, file)?;
        {
            let mut state = self.lock();
            state.trouble = None;
            state.should_compact = true;
        }
        self.changed.notify_all();
        // The present moment can move on to the flushed files, and memory be freed.
        self.queue.nudge();
        self.look_at_states();
        Ok(())
    }

    fn in_trouble(&self, file: u64, error: &TreeError) {
        let refusal = refusal(error);
        if matches!(refusal, CommitError::Full(_))
            && let Err(error) = self.release()
        {
            tracing::debug!(%error, "cannot give back the room for the store's log");
        }
        let mut state = self.lock();
        // A later file may have been sealed in the meantime; it includes this one.
        state.sealed_file = state.sealed_file.max(Some(file));
        state.trouble = Some(refusal);
        self.changed.notify_all();
        let _ = self
            .changed
            .wait_timeout_while(state, RETRY, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
    }

    pub(super) fn mark(&self) -> MutexGuard<'_, MarkFile> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What commits are told while the tree cannot be written.
fn refusal(error: &TreeError) -> CommitError {
    match error {
        TreeError::Damaged(damage) => CommitError::Damaged(damage.clone()),
        TreeError::Io(error) if is_full(error) => CommitError::Full(error.to_string().into()),
        TreeError::Io(error) => CommitError::Unavailable(error.to_string().into()),
    }
}
