//! Adapters against the port.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod crash;
mod damage;
mod embedded;
mod events;
mod full;
mod mixed;
mod postgres;
mod power;
mod simulated;
mod switch;
