//! Components against the port, and leases on a store that fails.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod clocks;
mod lease;
mod memory;
mod redis;
mod stored;
