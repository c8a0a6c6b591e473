//! Configuration: settings that apps read, and are told of when they change.
//!
//! ```text
//!   the API: decode, one call, encode                       the control API: who changed what, and back again
//!        │                                                        │
//!   ConfigurationStore (port) ──── one conformance suite          │
//!        ├── OnPostgres  configuration.postgresql   as Dapr keeps them
//!        ├── OnRedis     configuration.redis        as Dapr keeps them
//!        └── Stored      configuration.mainstay     on the store, with a history of every key
//! ```
//!
//! A component has to do two things: read keys, and say when they may have changed. What has changed is found out here, in
//! one place, by comparing what is read with what was read before: see [`Subscription`]. So changes that follow each other
//! faster than they are read become one, and the latest is never missed.

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod limits;
mod listener;
mod port;
mod postgres;
mod redis;
pub mod stored;
mod subscription;

pub use error::ConfigurationError;
pub use port::{ConfigurationStore, Item, Items, Metadata};
pub use postgres::{InvalidTable, OnPostgres, Table};
pub use redis::OnRedis;
pub use stored::Stored;
pub use subscription::{Changes, Subscription};
