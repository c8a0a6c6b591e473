//! The door of a callee: as many calls as its replicas can take, a short queue, and nobody in it for long.

use std::time::Duration;

use mainstay_base::{Priority, Timestamp};

/// How long calls wait for their turn.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuePolicy {
    /// Most calls that wait.
    pub max_waiting: usize,
    /// `CoDel`: the wait that is fine while the queue does not drain (5 ms).
    pub target: Duration,
    /// `CoDel`: how long a queue may stand before `target` holds (100 ms).
    pub interval: Duration,
}

/// Why a call was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More wait than may; come back after this long.
    QueueFull(Duration),
    /// It waited longer than is of use.
    WaitedTooLong(Duration),
    /// A call of higher priority took its place.
    Displaced(Duration),
}

/// The door of a callee. The way through an uncrowded door takes no lock.
#[derive(Debug)]
pub struct Gate {}

/// A place behind the door; dropping it gives the place to the next in the queue.
#[derive(Debug)]
pub struct Permit {}

impl Gate {
    /// A door that lets `capacity` calls in at a time.
    pub fn new(policy: QueuePolicy, capacity: u32) -> std::sync::Arc<Self> {
        let _ = (policy, capacity);
        todo!("policy")
    }

    /// How many may be in at a time: the sum of the replicas' limits. Lets waiting calls in when it grows.
    pub fn set_capacity(&self, capacity: u32, now: Timestamp) {
        let _ = (capacity, now);
        todo!("policy")
    }

    /// Goes in at once when there is room and nobody waits.
    pub fn try_enter(self: &std::sync::Arc<Self>) -> Option<Permit> {
        todo!("policy")
    }

    /// Waits for a place. The caller bounds the wait with its deadline; dropping the future leaves the queue.
    pub async fn enter(
        self: &std::sync::Arc<Self>,
        priority: Priority,
        clock: &dyn mainstay_base::Clock,
    ) -> Result<Permit, Refusal> {
        let _ = (priority, clock);
        todo!("policy")
    }

    /// Calls inside.
    pub fn in_flight(&self) -> u32 {
        todo!("policy")
    }

    /// Calls waiting.
    pub fn waiting(&self) -> usize {
        todo!("policy")
    }
}
