//! The data plane against real sockets.

mod calls;
mod support;
