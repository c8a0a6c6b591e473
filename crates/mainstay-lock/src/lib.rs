//! Locks and leases: who may do what only one may do.
//!
//! ```text
//!   the API: decode, prefix the resource (KeyPrefix), one call, encode
//!        │
//!   LockStore (port) ──── one conformance suite for all of them        Lease: Mainstay's own nodes, renewed by a task
//!        ├── InMemory   lock.in-memory   gone with the process           │
//!        ├── OnRedis    lock.redis       excludes Dapr's locks there   │
//!        └── Stored     lock.mainstay ───────────┬───────────────────────┘
//!                                          Holders: two keys of the store for each thing that is held
//! ```
//!
//! A lock that ends by itself cannot keep its holder from going on afterwards: a process that was paused does not know that
//! it was. So every grant has a [`FencingToken`] that grows, and who changes something on behalf of a lock adds its
//! [`Fence`] to the batch: the store then refuses the change of a holder that is none any more. What a lock promises is said
//! at [`LockStore`], what a lease promises at [`lease`].

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod expiry;
mod fence;
mod holders;
mod key;
pub mod lease;
pub mod limits;
mod memory;
mod port;
mod redis;
pub mod stored;

pub use error::LockError;
pub use expiry::{Expiry, InvalidExpiry};
pub use fence::Fence;
pub use key::{InvalidName, KeyPrefix, SEPARATOR};
pub use memory::{InMemory, Options as InMemoryOptions};
pub use port::{FencingToken, LockStore, Renewal, TryLock, Unlock};
pub use redis::OnRedis;
pub use stored::Stored;
