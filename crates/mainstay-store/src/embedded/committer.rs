//! The committer: one thread through which every commit goes.
//!
//! It takes everything that waits, decides about each batch in turn, writes what is committed as one group with one
//! `fdatasync`, applies it to the tree, lets readers see it, and only then answers. While it does, the next group gathers.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mainstay_base::Clock;

use super::group::{Decided, Group};
use super::line::Line;
use super::log::frame;
use super::log::record::Record;
use super::log::writer::{WriteError, Writer, is_full};
use super::pending::{self, Pending};
use super::queue::{Next, Queue, Work};
use super::recent::Recent;
use super::snapshots::{Place, Snapshots};
use super::space;
use super::tokens::Generations;
use super::tree::{Tree, TreeError};
use super::upkeep::Upkeep;
use crate::error::CommitError;
use crate::version::{HybridClock, Version, WallClock};
use crate::watch::Watchers;

/// A group ends when it has this many bytes; one batch more may be in it.
const MAX_GROUP_BYTES: usize = 8 * 1_024 * 1_024;

/// How many sealed memories may wait for their flush before commits wait too.
const MAX_SEALED: usize = 3;

/// How many unsorted runs may wait to be merged before commits slow down, and before they wait.
const SLOW_RUNS: usize = 20;
const MAX_RUNS: usize = 48;

/// How long a group waits for the flusher or the compactor before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the committer sleeps when nothing happens.
const IDLE: Duration = Duration::from_secs(60);

/// How many old tokens, and how many commits that were kept for followers, go with a group.
const SWEEP: usize = 100;

/// Whether what nobody needs any more could be removed the last time.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    tokens_fail: bool,
    feed_fails: bool,
}

/// Everything the committer needs.
pub(super) struct Committer {
    pub queue: Arc<Queue>,
    pub upkeep: Arc<Upkeep>,
    pub snapshots: Arc<Snapshots>,
    pub watchers: Arc<Watchers>,
    pub tree: Tree,
    pub log: Writer,
    pub recent: Recent,
    pub hybrid_clock: HybridClock,
    /// The latest record.
    pub number: u64,
    pub line: Line,
    pub generations: Generations,
    pub sweeping: Sweeping,
    pub clock: Arc<dyn Clock>,
    pub wall_clock: Arc<dyn WallClock>,
    pub memtable_bytes: u64,
    /// The group that is written; kept to reuse its memory.
    pub buffer: BytesMut,
    /// Why nothing can be written any more.
    pub stopped: Option<CommitError>,
}

impl Committer {
    /// Commits until the queue is closed and empty.
    pub(super) fn run(mut self) {
        // Whatever ends this thread, nobody may wait for it for ever.
        let _guard = Abandon(self.queue.clone());
        loop {
            match self.queue.take(MAX_GROUP_BYTES, IDLE) {
                Next::Closed => break,
                Next::Group(group) => {
                    if !group.is_empty() || self.is_untidy() {
                        self.commit(group);
                    }
                    // Nothing is under way, so all that has a number can be seen.
                    self.publish(self.tree.next_number());
                    self.thin();
                    self.rotate_if_full();
                }
            }
        }
        if let Err(error) = self.upkeep.mark().sync() {
            tracing::warn!(%error, "cannot sync the store's mark");
        }
    }

    /// Lets go of what the tree remembers and nobody reads.
    fn thin(&self) {
        // Commits do not wait for files that are being put into the tree.
        if self.tree.is_settling() || !self.upkeep.should_thin() {
            return;
        }
        let thinned = self.tree.thin(|present| {
            self.publish(present);
            self.snapshots.bounds()
        });
        if let Err(error) = thinned {
            tracing::warn!(%error, "cannot let go of what readers of the past needed");
        }
    }

    /// Whether something is kept that no follower needs.
    fn is_untidy(&self) -> bool {
        self.line.needless(self.line.last).is_some()
    }

    fn commit(&mut self, group: Vec<Work>) {
        if let Err(refusal) = self.ready() {
            for work in group {
                pending::refuse(work, refusal.clone());
            }
            return;
        }
        let (pending, decided) = self.decide(group);
        let written = self.write(&decided.records);
        if written.is_ok() {
            self.apply(decided);
            // What cannot be swept now cannot be swept at once again: that is tried along with what comes next.
            if self.is_untidy() && !self.sweeping.feed_fails {
                self.queue.nudge();
            }
        }
        for pending in pending {
            pending.answer(&written);
        }
    }

    /// Whether a group can be committed now; waits for the flusher and the compactor if they are far behind.
    fn ready(&self) -> Result<(), CommitError> {
        if let Some(reason) = &self.stopped {
            return Err(reason.clone());
        }
        let runs = self.tree.run_count();
        if runs > SLOW_RUNS {
            let delay = Duration::from_millis((runs - SLOW_RUNS) as u64);
            // Slowed down, not refused.
            let _ = self.upkeep.wait_while(delay, || self.tree.run_count() >= runs);
        }
        if self.tree.sealed_count() < MAX_SEALED && self.tree.run_count() < MAX_RUNS {
            return Ok(());
        }
        self.upkeep.wait_while(PATIENCE, || {
            self.tree.sealed_count() >= MAX_SEALED || self.tree.run_count() >= MAX_RUNS
        })
    }

    fn decide(&mut self, waiting: Vec<Work>) -> (Vec<Pending>, Decided) {
        let generation = self.generations.current(self.clock.now());
        let mut group = Group::new(
            &self.tree,
            &mut self.recent,
            &mut self.hybrid_clock,
            self.wall_clock.unix_ms(),
            generation,
            self.line.clone(),
        );
        let pending = waiting.into_iter().map(|work| Pending::decide(work, &mut group));
        let pending = pending.collect();
        if self.generations.has_old && !group.is_empty() {
            let swept = group.sweep_tokens(SWEEP);
            if let Ok(is_done) = swept {
                self.generations.has_old = !is_done;
            }
            tell_once(&mut self.sweeping.tokens_fail, swept, "old tokens");
        }
        let swept = group.sweep_feed(SWEEP);
        tell_once(
            &mut self.sweeping.feed_fails,
            swept,
            "what was kept for followers",
        );
        (pending, group.finish())
    }

    /// Makes the group durable, or says what everybody in it is told instead. That includes those who wrote nothing: what
    /// they were told may rest on what was not written.
    fn write(&mut self, records: &[Record]) -> Result<(), CommitError> {
        if records.is_empty() {
            return Ok(());
        }
        frame::begin(&mut self.buffer);
        for record in records {
            record.encode(&mut self.buffer);
        }
        let refusal = match self.log.write(&mut self.buffer) {
            Ok(()) => return Ok(()),
            Err(WriteError::Full(error)) => {
                return Err(CommitError::Full(error.to_string().into()));
            }
            Err(WriteError::Broken(error)) => {
                self.stop(&error.to_string());
                CommitError::Unavailable(error.to_string().into())
            }
            Err(WriteError::Unsure(error)) => {
                self.stop(&error.to_string());
                CommitError::UnknownOutcome(error.to_string().into())
            }
        };
        Err(refusal)
    }

    fn apply(&mut self, decided: Decided) {
        let Decided {
            records,
            line,
            has_copies,
        } = decided;
        self.line = line;
        let Some(last) = records.last() else {
            return;
        };
        self.number = last.number;
        for record in &records {
            self.tree.apply(record);
        }
        self.publish(self.number + 1);
        self.set_mark();
        if has_copies {
            // Their versions may be any.
            self.watchers.changed_anywhere(self.line.last);
            return;
        }
        let written = records.iter().flat_map(|record| {
            let data = record.changes.iter().filter(|change| space::is_data(&change.key));
            data.map(|change| (space::key(&change.key), Version::from_u64(record.number)))
        });
        self.watchers.changed(written);
    }

    fn publish(&self, bound: u64) {
        self.snapshots.publish(Place {
            bound,
            version: self.line.last,
        });
    }

    fn set_mark(&mut self) {
        let written = {
            let mut marks = self.upkeep.mark();
            let mut mark = marks.get();
            mark.last_file = self.log.number();
            mark.durable_bytes = self.log.durable_bytes();
            mark.number = self.number;
            marks.write(mark)
        };
        // What is committed is; but a disk that fails here will fail elsewhere.
        if let Err(error) = written {
            self.stop(&error.to_string());
        }
    }

    /// Begins a new log file and a new memory, and has the old memory flushed.
    fn rotate_if_full(&mut self) {
        let bytes = self.tree.memory_bytes();
        // Commits do not wait for files that are being put into the tree; the memory takes some more instead.
        let can_wait = self.tree.is_settling() && bytes < self.memtable_bytes + self.memtable_bytes / 4;
        if bytes < self.memtable_bytes || can_wait || self.stopped.is_some() {
            return;
        }
        let full_file = self.log.number();
        match self.rotate_log() {
            Ok(()) => {
                self.set_mark();
                self.tree.seal();
                self.upkeep.sealed(full_file);
            }
            // Later, when there is room; until then the present file takes more.
            Err(error) if is_full(&error) => {}
            Err(error) => self.stop(&error.to_string()),
        }
    }

    fn rotate_log(&mut self) -> std::io::Result<()> {
        let mut files = self.upkeep.log_files();
        self.log.rotate(files.is_next_placed)?;
        files.present = self.log.number();
        files.is_next_placed = false;
        Ok(())
    }

    fn stop(&mut self, reason: &str) {
        tracing::error!(reason, "the store takes no writes any more; restart to try again");
        self.stopped = Some(CommitError::Unavailable(reason.into()));
    }
}

/// Takes note of whether something could be removed, and says when it begins to fail.
fn tell_once<T>(is_failing: &mut bool, swept: Result<T, TreeError>, what: &str) {
    let failed = swept.err();
    if let Some(error) = failed.as_ref().filter(|_| !*is_failing) {
        tracing::warn!(%error, "cannot remove {what} from the store; it is tried again");
    }
    *is_failing = failed.is_some();
}

struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
