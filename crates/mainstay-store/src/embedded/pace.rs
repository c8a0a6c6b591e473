//! How bulk writes leave the disk to the commits.
//!
//! A file that is written at once and synced at its end keeps the disk busy until all of it is there, and a commit that
//! syncs meanwhile waits for that. So bulk writes are synced chunk by chunk, and after each chunk the writer rests for as
//! long as its sync took: at least half of the disk's time is left, however fast the disk is. When what is written falls
//! behind what comes in, it does not rest, and its chunks are larger.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use mainstay_base::Clock;

/// Bytes between two syncs: few enough that a disk's queue has room beside them.
const CHUNK_BYTES: u64 = 256 * 1_024;

/// The same in a hurry, when the number of syncs counts: on a busy disk each takes milliseconds.
const URGENT_CHUNK_BYTES: u64 = 4 * 1_024 * 1_024;

/// The longest rest.
const MAX_REST: Duration = Duration::from_millis(50);

/// A table is written under the highest number so far; others may take the numbers next to it at the same time.
const NEIGHBOURS: u64 = 4;

/// What all bulk writers of a store share.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    is_urgent: AtomicBool,
    /// Set when a merge has written all that it writes and puts its files into the tree, which takes the tree's lock.
    is_settling: AtomicBool,
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Pace {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            is_urgent: AtomicBool::new(false),
            is_settling: AtomicBool::new(false),
            closed: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    /// Whether more comes in than is written, so that nobody should rest.
    pub(super) fn set_urgent(&self, is_urgent: bool) {
        self.is_urgent.store(is_urgent, Ordering::Relaxed);
    }

    fn is_urgent(&self) -> bool {
        self.is_urgent.load(Ordering::Relaxed)
    }

    pub(super) fn set_settling(&self, is_settling: bool) {
        self.is_settling.store(is_settling, Ordering::Relaxed);
    }

    pub(super) fn is_settling(&self) -> bool {
        self.is_settling.load(Ordering::Relaxed)
    }

    /// Nobody rests any more.
    pub(super) fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Syncs a chunk, and rests.
    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let begin = self.clock.now();
        sync()?;
        let took = self.clock.now().since(begin);
        if self.is_urgent() {
            return Ok(());
        }
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self
            .changed
            .wait_timeout_while(closed, took.min(MAX_REST), |closed| !*closed)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pace").finish_non_exhaustive()
    }
}

/// One bulk write.
#[derive(Debug)]
pub(super) struct Paced {
    pace: Arc<Pace>,
    bytes: u64,
}

impl Paced {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, bytes: 0 }
    }

    /// Takes note of what was written; syncs it when it is a chunk.
    pub(super) fn wrote(&mut self, bytes: u64, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.bytes += bytes;
        let chunk_bytes = if self.pace.is_urgent() {
            URGENT_CHUNK_BYTES
        } else {
            CHUNK_BYTES
        };
        if self.bytes < chunk_bytes {
            return Ok(());
        }
        self.bytes = 0;
        self.pace.sync(sync)
    }
}

/// Tables of the tree that are being written. The tree makes and writes their files itself, so they are found by name.
#[derive(Debug)]
pub(super) struct Tables {
    folder: PathBuf,
    paced: Paced,
    highest: u64,
}

impl Tables {
    pub(super) fn new(folder: &Path, pace: Arc<Pace>, highest: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            paced: Paced::new(pace),
            highest,
        }
    }

    pub(super) fn wrote(&mut self, bytes: u64) -> io::Result<()> {
        let Self {
            folder,
            paced,
            highest,
        } = self;
        paced.wrote(bytes, || sync_newest(folder, highest))
    }
}

/// Syncs the files with the highest numbers, and takes note of the highest.
fn sync_newest(folder: &Path, highest: &mut u64) -> io::Result<()> {
    let mut number = highest.saturating_sub(NEIGHBOURS);
    while number <= *highest + NEIGHBOURS {
        match File::open(folder.join(number.to_string())) {
            Ok(file) => {
                file.sync_data()?;
                *highest = (*highest).max(number);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        number += 1;
    }
    Ok(())
}

/// Lets merges keep the pace: the tree asks it about each entry that it writes.
#[derive(Debug)]
pub(super) struct Merges {
    pub folder: PathBuf,
    pub pace: Arc<Pace>,
}

/// The clock and the locks of a pace hold nothing that a panic could leave half done.
impl std::panic::RefUnwindSafe for Merges {}

impl Factory for Merges {
    fn name(&self) -> &'static str {
        "pace"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Merge {
            pace: self.pace.clone(),
            tables: Tables::new(&self.folder, self.pace.clone(), highest(&self.folder)),
        })
    }
}

struct Merge {
    pace: Arc<Pace>,
    tables: Tables,
}

impl CompactionFilter for Merge {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        let bytes = item.key().len() + item.value()?.len();
        self.tables.wrote(bytes as u64)?;
        Ok(Verdict::Keep)
    }

    fn finish(self: Box<Self>) {
        self.pace.set_settling(true);
    }
}

/// The highest number of a table so far. Without it the pace is kept less well, and nothing else.
fn highest(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(0)
}
