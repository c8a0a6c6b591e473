//! The data plane against real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod deadlines;
mod protection;
mod retries;
mod support;
