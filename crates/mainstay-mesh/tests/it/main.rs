//! The data plane against real sockets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod calls;
mod deadlines;
mod externals;
mod fallbacks;
mod hedging;
mod http2;
mod protection;
mod retries;
mod signals;
mod stalls;
mod streams;
mod support;
