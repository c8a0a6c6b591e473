//! Components against the port.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod postgres;
mod redis;
mod stored;
