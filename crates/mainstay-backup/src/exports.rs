//! Moments of the store of a running system, for who backs it up from another process.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_store::Replicated;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::{Export, Outgoing, SourceError};

/// The store that is used at a time: it may be moved to another one.
pub type PresentStore = dyn Fn() -> Arc<dyn Replicated> + Send + Sync;

/// Gives moments of a store, one at a time: each costs the store memory for as long as it is read. Clones are the same.
#[derive(Clone)]
pub struct Exports {
    present: Arc<PresentStore>,
    permits: Arc<Semaphore>,
}

/// A moment on its way to another process.
pub struct Leaving {
    outgoing: Outgoing<Export>,
    _permit: OwnedSemaphorePermit,
}

/// Why there is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Somebody reads one already.
    #[error("a backup is being made already: wait until it has ended")]
    Busy,
    /// The store cannot be read.
    #[error("{0}")]
    Source(#[from] SourceError),
}

impl Exports {
    /// Moments of the store that `present` gives.
    pub fn new(present: Arc<PresentStore>) -> Self {
        Self {
            present,
            permits: Arc::new(Semaphore::new(1)),
        }
    }

    /// The present moment. It ends when it was read, or is dropped.
    pub async fn begin(&self) -> Result<Leaving, ExportError> {
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ExportError::Busy)?;
        let export = Export::begin((self.present)()).await?;
        Ok(Leaving {
            outgoing: Outgoing::new(export),
            _permit: permit,
        })
    }
}

impl Leaving {
    /// The next bytes; `None` after the last. Not cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.outgoing.next().await
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exports").finish_non_exhaustive()
    }
}
