//! How watches go along when another store takes over.

use std::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::{KeyWatch, Watch};
use crate::error::Closed;
use crate::version::Version;

/// Who points at a store, now this one, now that.
pub(crate) trait Moves: Send + Sync {
    /// A watch of the present one.
    fn watch_here(&self, prefix: Bytes) -> Watch;

    /// A watch of the keys of the present one.
    fn watch_keys_here(&self, prefix: Bytes) -> KeyWatch;
}

/// Where a watch goes along to.
pub(crate) struct Elsewhere {
    prefix: Bytes,
    moved: watch::Receiver<Version>,
    /// It does not keep stores open: a watch ends with its store.
    moves: Weak<dyn Moves>,
}

impl Elsewhere {
    /// `moved` tells the last version of the store that was left.
    pub(crate) fn new(prefix: Bytes, moved: watch::Receiver<Version>, moves: Weak<dyn Moves>) -> Self {
        Self { prefix, moved, moves }
    }

    pub(super) fn prefix(&self) -> Bytes {
        self.prefix.clone()
    }

    pub(super) fn moves(&self) -> Result<Arc<dyn Moves>, Closed> {
        self.moves.upgrade().ok_or(Closed)
    }

    /// Waits for a move. `None` when there is none any more. Cancel safe.
    pub(super) async fn moved(&mut self) -> Option<Version> {
        self.moved.changed().await.ok()?;
        Some(*self.moved.borrow_and_update())
    }

    pub(super) fn has_moved(&self) -> bool {
        self.moved.has_changed().unwrap_or(false)
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Elsewhere")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
