//! The cache from outside: its stores against the port, and the cache on them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod cache;
mod calls;
mod local;
mod races;
mod redis;
mod state;
mod support;
