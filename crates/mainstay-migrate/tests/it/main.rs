//! Migrations between simulated stores.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod breaking;
mod crashes;
mod moves;
mod process;
mod world;
