//! Accepts connections, hands each to a worker, bounds what a client may do.

use std::net::SocketAddr;
use std::time::Duration;

/// What a client may do. The defaults are those of `mainstay_base::limits`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request head.
    pub head_bytes: usize,
    /// Time for a request head.
    pub head_timeout: Duration,
    /// Largest request body that is held in memory (bodies that pass through are not).
    pub body_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
}

/// A listening server; dropping it stops accepting.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        todo!("api")
    }

    /// Stops accepting, lets running requests end, cuts what is left after `limit`.
    pub async fn stop(self, limit: Duration) {
        let _ = limit;
        todo!("api")
    }
}
