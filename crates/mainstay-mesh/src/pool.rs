//! Connections to one replica that wait for their next request.
//!
//! Each worker has a shard of its own, so the locks are free but for the rare call from outside the workers. A
//! connection is driven by a task of the worker that opened it. HTTP/1.1 connections are stacked, so that the busiest
//! stay warm and the rest age and are closed; HTTP/2 connections are shared.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use mainstay_base::Timestamp;

use crate::Body;

/// The most HTTP/1.1 connections of a shard that wait.
const MAX_IDLE: usize = 128;

/// How long a connection waits: less than the 5 s after which Node.js and uvicorn close it from their side, because a
/// request that is sent just then is lost.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);

/// The shards of one replica.
#[derive(Debug)]
pub(crate) struct Pool {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    idle: Vec<Idle>,
    shared: Option<http2::SendRequest<Body>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Body>,
    since: Timestamp,
}

impl Pool {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, worker: usize) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(worker)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the connection that has waited the shortest. Closed and old ones are dropped on the way.
    pub(crate) fn take(&self, worker: usize, now: Timestamp) -> Option<http1::SendRequest<Body>> {
        let mut shard = self.shard(worker)?;
        // The last request's task may not have told yet that its connection is free: look below it.
        let ready = shard.idle.iter().rposition(|idle| idle.sender.is_ready())?;
        let idle = shard.idle.remove(ready);
        if now.since(idle.since) < MAX_IDLE_AGE {
            return Some(idle.sender);
        }
        // All below it are older still.
        shard.idle.drain(..ready);
        None
    }

    /// Gives back a connection whose answer has ended.
    pub(crate) fn put(&self, worker: usize, sender: http1::SendRequest<Body>, now: Timestamp) {
        if sender.is_closed() {
            return;
        }
        if let Some(mut shard) = self.shard(worker)
            && shard.idle.len() < MAX_IDLE
        {
            shard.idle.push(Idle { sender, since: now });
        }
    }

    /// The shared HTTP/2 connection, while it is open.
    pub(crate) fn shared(&self, worker: usize) -> Option<http2::SendRequest<Body>> {
        let shard = self.shard(worker)?;
        shard.shared.as_ref().filter(|sender| sender.is_ready()).cloned()
    }

    /// Shares a new HTTP/2 connection.
    pub(crate) fn share(&self, worker: usize, sender: http2::SendRequest<Body>) {
        if let Some(mut shard) = self.shard(worker) {
            shard.shared = Some(sender);
        }
    }

    /// Closes what has waited too long or was closed by the peer.
    pub(crate) fn sweep(&self, now: Timestamp) {
        for worker in 0..self.shards.len() {
            if let Some(mut shard) = self.shard(worker) {
                shard
                    .idle
                    .retain(|idle| !idle.sender.is_closed() && now.since(idle.since) < MAX_IDLE_AGE);
            }
        }
    }
}
