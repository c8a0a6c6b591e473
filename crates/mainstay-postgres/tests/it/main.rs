//! The connection against a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod connection;
mod encryption;
