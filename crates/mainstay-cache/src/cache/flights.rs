//! Loads that are under way: one for each key, whose outcome is for everybody who waits.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::port::Fence;

const SHARDS: usize = 64;

/// Outcomes on their way. Locks are held for a look at a table, and only by those who find nothing in the cache.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    hasher: RandomState,
    last_number: AtomicU64,
}

type Shard<T> = HashMap<Arc<str>, Flight<T>>;

#[derive(Debug)]
struct Flight<T> {
    number: u64,
    fence: Fence,
    outcome: Outcome<T>,
}

/// Becomes `Some` when the load has ended. When the sender is gone without, the load was broken off.
pub(crate) type Outcome<T> = watch::Receiver<Option<T>>;

/// What becomes of somebody who needs a key.
pub(crate) enum Boarding<T> {
    /// Has to load it, and publish the outcome through this.
    Leader(Seat<T>),
    /// Somebody else loads it.
    Waiter(Outcome<T>),
}

/// The duty to load a key. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat<T> {
    flights: Arc<Flights<T>>,
    key: Arc<str>,
    number: u64,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            last_number: AtomicU64::new(0),
        }
    }
}

impl<T> Flights<T> {
    /// Joins the load of `key`, or becomes the one who loads it: when there is none, or when something was invalidated
    /// since it began, which its `fence` tells.
    pub(crate) fn board(self: &Arc<Self>, key: &str, fence: Fence) -> Boarding<T> {
        let key: Arc<str> = Arc::from(key);
        let Some(mut shard) = self.shard(&key) else {
            return Boarding::Leader(self.seat(key).0);
        };
        match shard.entry(key.clone()) {
            Entry::Occupied(flight) if flight.get().fence == fence => {
                Boarding::Waiter(flight.get().outcome.clone())
            }
            entry => {
                let (seat, outcome) = self.seat(key);
                let flight = Flight {
                    number: seat.number,
                    fence,
                    outcome,
                };
                entry.insert_entry(flight);
                Boarding::Leader(seat)
            }
        }
    }

    fn seat(self: &Arc<Self>, key: Arc<str>) -> (Seat<T>, Outcome<T>) {
        let (sender, receiver) = watch::channel(None);
        let seat = Seat {
            flights: self.clone(),
            key,
            number: self.last_number.fetch_add(1, Ordering::Relaxed) + 1,
            outcome: sender,
        };
        (seat, receiver)
    }

    fn shard(&self, key: &Arc<str>) -> Option<MutexGuard<'_, Shard<T>>> {
        let shard = self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Seat<T> {
    /// What this load will come to.
    pub(crate) fn outcome(&self) -> Outcome<T> {
        self.outcome.subscribe()
    }

    /// Tells everybody who waits.
    pub(crate) fn publish(self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        if let Some(mut shard) = self.flights.shard(&self.key)
            && shard
                .get(&self.key)
                .is_some_and(|flight| flight.number == self.number)
        {
            shard.remove(&self.key);
        }
    }
}
