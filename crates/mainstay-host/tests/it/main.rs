//! Real processes under a real host.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

mod lifecycle;
mod needs;
mod support;
