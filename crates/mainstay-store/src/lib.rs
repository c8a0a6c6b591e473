//! The store: an ordered, transactional key-value store behind one port, [`Store`], with its adapters and the suite that
//! they all pass.
//!
//! ```text
//!   state   bus   flow   events   …            contribute to a Batch, never commit for each other
//!      └─────┴──┬──┴───────┘
//!            Store (port)
//!      ┌────────┼────────────┐
//!   embedded  PostgreSQL  simulated (feature `conformance`: in memory, from a seed, with faults)
//! ```
//!
//! A layer reads at a snapshot, decides, and commits a [`Batch`] whose conditions say what it relied on:
//!
//! ```
//! # use mainstay_store::{Batch, CommitError, Key, Store, Value};
//! # async fn example(store: &dyn Store) -> Result<(), Box<dyn std::error::Error>> {
//! let stock = Key::new("stock/tea")?;
//! let read = store.read(std::slice::from_ref(&stock)).await?;
//! let before = read.values.into_iter().next().flatten();
//!
//! let mut batch = Batch::new();
//! batch.require_version(stock.clone(), before.map(|stored| stored.version));
//! batch.put(stock, Value::new("41")?);
//! match store.commit(batch).await {
//!     Ok(commit) => println!("now at version {}", commit.version),
//!     Err(CommitError::Conflict(conflict)) => println!("somebody was faster: {conflict}"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Time to live, secondary indexes and the like belong to the layers: a layer knows which of its keys expire, and can
//! delete them together with what it keeps about them; a store that dropped keys on its own would break the conditions
//! and the logs of others.

mod batch;
mod condition;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
mod error;
#[cfg(feature = "conformance")]
pub mod history;
mod key;
pub mod limits;
mod page;
mod port;
pub mod postgres;
mod replication;
#[cfg(feature = "conformance")]
pub mod simulated;
mod sweeper;
mod switch;
mod version;
mod watch;

pub use batch::{Batch, Condition, InvalidBatch, Token, Write};
pub use error::{Closed, CommitError, Conflict, Damage, ReadError};
pub use key::{AppendPrefix, InvalidSize, Key, KeyRange, Value};
pub use port::{
    Commit, Direction, Entry, Page, Read, Reply, SNAPSHOT_LIFETIME, Scan, Snapshot, Store, Stored,
    TOKEN_LIFETIME,
};
pub use replication::{
    Changes, Committed, FollowError, FollowerName, Following, InvalidFollowerName, MAX_CHANGES_BYTES,
    MAX_FOLLOWER_NAME_BYTES, MAX_FOLLOWERS, MAX_PORTION_BYTES, Portion, Replicated, Role,
};
pub use sweeper::Sweeper;
pub use switch::{MAX_SWITCH_STORES, Paused, Place, Switch, SwitchError};
pub use version::{HybridClock, SystemWallClock, Version, WallClock};
pub use watch::{ChangedKeys, KeyWatch, Watch};
