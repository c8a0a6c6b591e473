//! What the embedded store can be told.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_base::{Clock, SystemClock};

use crate::version::{SystemWallClock, WallClock};

/// Settings of the embedded store. The defaults keep it below 192 MiB of memory.
#[derive(Clone)]
pub struct Options {
    /// The folder; it is made if it does not exist. Nothing else may be in it.
    pub path: PathBuf,
    /// How much is written before memory is flushed to disk and the log starts anew, in bytes. 12 MiB; four times as much,
    /// and what it takes to keep it sorted, may be in memory while flushes lag.
    pub memtable_bytes: u64,
    /// How much of what is read is kept in memory, in bytes. 32 MiB.
    pub cache_bytes: u64,
    /// How many batches may wait for the committer; more are refused. 8,192.
    pub queue_batches: usize,
    /// How many bytes of batches may wait for the committer; more are refused. 32 MiB.
    pub queue_bytes: usize,
    /// How much is kept for followers that lag, in bytes; then the one furthest behind is dropped. 4 GiB.
    pub max_feed_bytes: u64,
    /// Measures how long tokens are kept.
    pub clock: Arc<dyn Clock>,
    /// Gives versions their time.
    pub wall_clock: Arc<dyn WallClock>,
}

impl Options {
    /// The defaults for a store in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            memtable_bytes: 12 * 1_024 * 1_024,
            cache_bytes: 32 * 1_024 * 1_024,
            queue_batches: 8_192,
            queue_bytes: 32 * 1_024 * 1_024,
            max_feed_bytes: 4 * 1_024 * 1_024 * 1_024,
            clock: Arc::new(SystemClock::new()),
            wall_clock: Arc::new(SystemWallClock),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
