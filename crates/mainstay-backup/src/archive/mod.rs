//! The archive of a store's changes, from which any moment can be restored.
//!
//! ```text
//!   backup at 100       after 80 up to 130      after 130 up to 131      after 131 up to 200
//!        └─────────────────────┴────────────────────────┴─────────────────────────┘
//! ```
//!
//! A *segment* holds all changes between two versions, and its name tells which. Together they are a chain as long as each
//! begins where another ends; where one is missing, the chain is broken, and a restore says so.

mod archiver;
mod chain;
mod metrics;
mod retention;

pub use archiver::{ARCHIVE_FOLLOWER, Archiver, ArchiverOptions};
pub use chain::{Broken, Chain, Segment, chain, segments};
pub use metrics::{ARCHIVE_METRIC_TABLE, ArchiveMetrics};
