//! Connections to one replica that wait for their next request.
//!
//! Each worker has a shard of its own, so the locks are free but for the rare call from outside the workers. A
//! connection is driven by a task of the worker that opened it. HTTP/1.1 connections are stacked, so that the busiest
//! stay warm and the rest age and are closed; HTTP/2 connections are shared.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1;
use mainstay_base::Timestamp;

use crate::{Body, http2};

/// The most HTTP/1.1 connections of a shard that wait.
const MAX_IDLE: usize = 128;

/// The streams that a shared connection carries before another one is opened, where the peer allows no less: what
/// servers usually allow (RFC 9113, 6.5.2 recommends it).
const STREAMS_PER_CONNECTION: usize = 100;

/// The most HTTP/2 connections of a shard; past that their streams wait for each other.
const MAX_SHARED: usize = 8;

/// The shards of one replica.
#[derive(Debug)]
pub(crate) struct Pool {
    shards: Box<[Mutex<Shard>]>,
    max_idle_age: Duration,
    /// Held while an HTTP/2 connection is opened, so that a burst of calls opens one and not one each.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shard {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Body>,
    since: Timestamp,
}

/// A connection that carries many requests at a time.
#[derive(Clone, Debug)]
struct Shared {
    sender: http2::Sender,
    streams: Arc<AtomicUsize>,
}

/// Counts as one stream of its connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Stream(Arc<AtomicUsize>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn stream(&self) -> (http2::Sender, Stream) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        (self.sender.clone(), Stream(self.streams.clone()))
    }

    fn is_open(&mut self) -> bool {
        http2::is_open(&mut self.sender)
    }

    fn streams_allowed(&self) -> usize {
        http2::streams_allowed(&self.sender).map_or(STREAMS_PER_CONNECTION, |streams| {
            streams.min(STREAMS_PER_CONNECTION)
        })
    }

    fn load(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

impl Pool {
    pub(crate) fn new(workers: usize, max_idle_age: Duration) -> Self {
        Self {
            shards: (0..workers).map(|_| Mutex::default()).collect(),
            max_idle_age,
            opening: tokio::sync::Mutex::new(()),
        }
    }

    fn shard(&self, worker: usize) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(worker)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the connection that has waited the shortest. Closed and old ones are dropped on the way.
    pub(crate) fn take(&self, worker: usize, now: Timestamp) -> Option<http1::SendRequest<Body>> {
        let mut shard = self.shard(worker)?;
        while shard.idle.last().is_some_and(|idle| idle.sender.is_closed()) {
            shard.idle.pop();
        }
        // The task of the last one may not have told yet that it is free: look below it.
        let ready = shard.idle.iter().rposition(|idle| idle.sender.is_ready())?;
        let idle = shard.idle.remove(ready);
        if now.since(idle.since) < self.max_idle_age {
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

    /// A stream on a shared connection: on the first that has room, or on the least busy one when no more may be
    /// opened. `None` says to open one.
    pub(crate) fn stream(&self, worker: usize) -> Option<(http2::Sender, Stream)> {
        let mut shard = self.shard(worker)?;
        let mut all = shard.shared.iter_mut();
        let free = all.find_map(|shared| {
            let has_room = shared.load() < shared.streams_allowed() && shared.is_open();
            has_room.then(|| shared.stream())
        });
        if free.is_some() {
            return free;
        }
        shard.shared.retain_mut(Shared::is_open);
        if shard.shared.len() < MAX_SHARED {
            return None;
        }
        shard
            .shared
            .iter()
            .min_by_key(|shared| shared.load())
            .map(Shared::stream)
    }

    /// Shares a new connection and takes its first stream.
    pub(crate) fn share(&self, worker: usize, sender: http2::Sender) -> (http2::Sender, Stream) {
        let shared = Shared {
            sender,
            streams: Arc::default(),
        };
        let stream = shared.stream();
        if let Some(mut shard) = self.shard(worker) {
            shard.shared.push(shared);
        }
        stream
    }

    /// Closes what has waited too long or was closed by the peer.
    pub(crate) fn sweep(&self, now: Timestamp) {
        for worker in 0..self.shards.len() {
            if let Some(mut shard) = self.shard(worker) {
                shard
                    .idle
                    .retain(|idle| !idle.sender.is_closed() && now.since(idle.since) < self.max_idle_age);
                shard.shared.retain_mut(Shared::is_open);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;

    use super::*;

    const AGE: Duration = Duration::from_secs(4);

    /// A connection to a server that never gets to do anything.
    async fn connection() -> http1::SendRequest<Body> {
        let (client, server) = tokio::io::duplex(1024);
        let service = service_fn(|_| std::future::pending::<Result<http::Response<Body>, std::io::Error>>());
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        tokio::spawn(async move { drop(serving.await) });
        let (mut sender, driving) = http1::handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(async move { drop(driving.await) });
        sender.ready().await.unwrap();
        sender
    }

    fn count(pool: &Pool, now: Timestamp) -> usize {
        std::iter::from_fn(|| pool.take(0, now)).count()
    }

    #[tokio::test]
    async fn connections_that_wait_are_bounded() {
        let pool = Pool::new(1, AGE);
        for _ in 0..MAX_IDLE + 10 {
            pool.put(0, connection().await, Timestamp::ZERO);
        }
        assert_eq!(count(&pool, Timestamp::ZERO), MAX_IDLE);
    }

    #[tokio::test]
    async fn old_connections_are_not_used() {
        let pool = Pool::new(2, AGE);
        let later = Timestamp::ZERO + AGE;
        pool.put(0, connection().await, Timestamp::ZERO);
        pool.put(0, connection().await, Timestamp::ZERO + Duration::from_secs(1));
        assert!(pool.take(1, Timestamp::ZERO).is_none(), "each worker has its own");
        assert_eq!(count(&pool, later), 1);
        pool.put(0, connection().await, Timestamp::ZERO);
        pool.sweep(later);
        assert_eq!(count(&pool, Timestamp::ZERO), 0);
    }
}
