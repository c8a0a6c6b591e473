//! PostgreSQL, as far as all Dapr components on it need the same: how to reach it, and what its errors mean.
//!
//! ```text
//!   configuration.postgresql   state.postgresql       statements, made with the `tokio-postgres` crate
//!                 └──────┬─────────┘
//!                     Postgres     one connection that statements share, made anew when it breaks; sessions for one alone
//! ```
//!
//! The store has an adapter of its own for its own tables; this is for tables that belong to others.

mod client;
mod connection_string;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod notifications;
mod options;
#[cfg(feature = "test-server")]
pub mod test_server;

/// The crate that the statements of components are made with.
pub use tokio_postgres;

pub use client::{Postgres, Session};
pub use error::{PostgresError, describe};
pub use notifications::Notifications;
pub use options::{InvalidOptions, METADATA_NAMES, Options};
