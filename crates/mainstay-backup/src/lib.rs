//! Backups of a store, restoring them, and the archive of its changes from which any moment can be restored.
//!
//! ```text
//!   store ── snapshot ── Export ──> format::Writer ──> Repository (a folder, an S3 bucket)
//!                                                          │  read back and verified before it has its name
//!   store <── copy, apply ── Restore <── format::Reader <──┘
//!     └── changes ── Archiver ──> segments, each beginning where another ends
//! ```
//!
//! The [`format`] is a pure core: bytes in, records out. Everything else moves bytes between it, a store and a repository.

pub mod archive;
mod container;
mod error;
mod exports;
pub mod format;
mod key;
mod latest;
mod progress;
pub mod repository;
mod restore;
mod save;
#[cfg(feature = "test-server")]
pub mod test_server;
mod wire;

pub use container::{Verified, describe, verify};
pub use error::BackupError;
pub use exports::{ExportError, Exports, Leaving, PresentStore};
pub use key::{BackupKey, InvalidKey};
pub use latest::{BACKUP_SUFFIX, backup_name, latest};
pub use progress::{Phase, Progress, Report};
pub use restore::{Checked, Restore, Restored, is_empty};
pub use save::{Plan, save};
pub use wire::{Export, Incoming, Outgoing, Source, SourceError};
