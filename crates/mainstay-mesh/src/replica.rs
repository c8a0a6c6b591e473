//! One replica of a callee: where it is, how it does, the connections to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use http::uri::Authority;
use mainstay_base::ReplicaId;
use tokio::sync::Notify;

use crate::Endpoint;
use crate::pool::Pool;

/// One replica. A restart makes a new one: what was learnt of the old process says nothing about the new.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) address: SocketAddr,
    /// Its address as `:authority` and as `host`.
    pub(crate) authority: Authority,
    pub(crate) host: HeaderValue,
    pub(crate) pool: Pool,
    /// Exchanges under way, streams and upgraded connections included.
    open: AtomicUsize,
    ended: Notify,
}

impl Replica {
    /// `None` when the address cannot be written as an authority, which no socket address does.
    pub(crate) fn new(endpoint: &Endpoint, workers: usize) -> Option<Self> {
        let text = endpoint.address.to_string();
        Some(Self {
            id: endpoint.replica.clone(),
            address: endpoint.address,
            authority: text.parse().ok()?,
            host: text.parse().ok()?,
            pool: Pool::new(workers),
            open: AtomicUsize::new(0),
            ended: Notify::new(),
        })
    }

    pub(crate) fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.id == endpoint.replica && self.address == endpoint.address
    }

    pub(crate) fn open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ended.notify_waiters();
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until nothing is under way.
    pub(crate) async fn drained(&self) {
        loop {
            // Enabled before the check, so that an end in between is not missed.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }
}
