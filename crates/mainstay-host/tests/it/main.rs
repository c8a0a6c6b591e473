//! Real processes under a real host.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

mod lifecycle;
mod logs;
mod needs;
mod orphans;
mod probes;
mod restart;
mod support;
mod usage;
