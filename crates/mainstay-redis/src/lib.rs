//! Redis, as far as all components on it need the same: how to reach it, and what its errors mean.
//!
//! ```text
//!   state.redis   lock.redis   configuration.redis        commands, made with the `redis` crate
//!        └─────────────┼─────────────┘
//!                    Redis                                one connection that all commands share, made anew when it breaks
//! ```
//!
//! Redis answers before anything is on disk, and its replicas lag behind: what a component promises on it is worth as much as
//! the Redis it stands on.

mod client;
mod connection;
mod error;
mod keyspace;
mod options;
mod server;
#[cfg(feature = "test-server")]
pub mod test_server;

/// The crate that the commands of components are made with.
pub use redis;

pub use client::{Messages, Redis, Topics};
pub use error::RedisError;
pub use keyspace::pattern;
pub use options::{InvalidOptions, METADATA_NAMES, Options, Tls};
