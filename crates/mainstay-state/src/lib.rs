//! State: values under keys, as Dapr's state API gives them, without its wire.
//!
//! ```text
//!   the API: decode, prefix the key (KeyPrefix), one call, encode
//!        │
//!   StateStore (port) ──── one conformance suite for all of them
//!        ├── InMemory   state.in-memory   gone with the process
//!        ├── Stored     state.mainstay    on the store; can add its writes to a Batch of others
//!        ├── Redis      state.redis       on a Redis server, laid out as Dapr does
//!        └── Postgresql state.postgresql  in a table of the users' own database, shaped as Dapr does
//! ```
//!
//! [`Encrypted`](encryption::Encrypted) seals the values of any of them, and [`Merging`](crdt::Merging) gives any of them values
//! that merge. What a component promises is said at [`StateStore`].

mod backoff;
mod calls;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod crdt;
pub mod encryption;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod key;
pub mod limits;
mod listing;
mod memory;
mod port;
pub mod postgresql;
pub mod query;
pub mod redis;
pub mod stored;
mod ttl;
mod watch;

pub use error::StateError;
pub use key::{InvalidKey, KeyPrefix, SEPARATOR, Scope};
pub use listing::{KeyChange, KeyChanges, ListPage, ListedKey, Listing};
pub use mainstay_base::rfc3339;
pub use mainstay_store::{CommitError, Condition, ReadError, SystemWallClock, WallClock};
pub use memory::{InMemory, Options as InMemoryOptions};
pub use port::{
    CacheMark, Concurrency, Consistency, Delete, Etag, Features, Found, Item, Operation, Set, StateStore,
};
pub use stored::{Changed, ChangedKey, Heard, Stored};
pub use ttl::{InvalidTtl, TimeToLive, expired};
pub use watch::Watch;
