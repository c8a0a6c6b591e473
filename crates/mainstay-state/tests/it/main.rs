//! Components against the port.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod encrypted;
mod memory;
mod postgresql;
mod redis;
mod stored;
