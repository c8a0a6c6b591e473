//! The door of a callee: as many calls as its replicas can take, a short queue, and nobody in it for long.
//!
//! A call that finds room and an empty queue takes one compare-and-swap. Otherwise it waits with those of its priority:
//!
//! - The highest priority goes in first. A full queue makes room for a call by turning away one of lower priority.
//! - A class whose calls have waited without a break for longer than an interval will not drain by itself: from then on
//!   nobody in it waits longer than the target, until nobody has waited for an interval. That is the form that Facebook gave `CoDel` for servers (Maurer, "Fail at
//!   Scale", ACM Queue 2015; 100 ms and 5 ms). Critical calls get ten intervals.
//! - Under pressure the newest call goes first (adaptive LIFO, ibid.): the oldest will hardly be of use any more.
//!
//! Each class is judged on its own. A flood of normal calls keeps their class standing, while the class of the critical
//! ones, which go first, drains again and again; so it is the flood that is shed.
//!
//! Nothing here runs by itself. Whoever comes or goes sheds what is overdue and hands places on, so a wait is bounded by
//! the caller's deadline. Wakers are called without the lock, one for each decision, so there is no thundering herd.

mod class;
mod enter;
mod queue;
#[cfg(test)]
mod tests;
mod word;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use mainstay_base::{Clock, Priority};

use class::Ticket;
use enter::Arrived;
pub use enter::Enter;
use queue::{Decision, Queue};
use word::{Arrival, MAX_WAITING, Word};

/// How long calls wait for their turn.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuePolicy {
    /// Most calls that wait; never more than 65,535.
    pub max_waiting: usize,
    /// `CoDel`: the wait that is fine while the queue does not drain (5 ms).
    pub target: Duration,
    /// `CoDel`: how long a queue may stand before `target` holds (100 ms).
    pub interval: Duration,
}

/// Why a call was turned away, and how long it should stay away: as long as its class has been waiting already, between
/// one interval and ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More wait than may; come back after this long.
    QueueFull(Duration),
    /// It waited longer than is of use.
    WaitedTooLong(Duration),
    /// A call of higher priority took its place.
    Displaced(Duration),
}

impl Refusal {
    /// How long to stay away.
    pub const fn retry_after(self) -> Duration {
        match self {
            Self::QueueFull(after) | Self::WaitedTooLong(after) | Self::Displaced(after) => after,
        }
    }
}

/// The door of a callee. The way through an uncrowded door takes no lock.
pub struct Gate {
    word: Word,
    queue: Mutex<Queue>,
    max_waiting: usize,
    clock: Arc<dyn Clock>,
}

/// A place behind the door; dropping it gives the place to the next in the queue.
#[derive(Debug)]
#[must_use = "dropping the permit gives the place away"]
pub struct Permit {
    gate: Arc<Gate>,
}

impl Gate {
    /// A door that lets `capacity` calls in at a time (at most 16,777,215).
    pub fn new(policy: QueuePolicy, capacity: u32, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            word: Word::new(capacity),
            max_waiting: policy.max_waiting.min(MAX_WAITING),
            queue: Mutex::new(Queue::new(policy)),
            clock,
        })
    }

    /// How many may be in at a time: the sum of the replicas' limits. Lets waiting calls in when it grows; calls that
    /// are in stay in when it shrinks.
    pub fn set_capacity(&self, capacity: u32) {
        if self.word.set_capacity(capacity) {
            self.admit();
        }
    }

    /// Goes in at once when there is room and nobody waits. Never blocks.
    pub fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        self.word.try_enter().then(|| Permit { gate: self.clone() })
    }

    /// Waits for a place. The caller bounds the wait with its deadline: nothing here runs by itself, so a call is
    /// turned away only when another one comes or goes.
    ///
    /// # Cancel safety
    /// Dropping the future at any point leaves the queue, and passes on a place that was already given.
    pub fn enter(self: &Arc<Self>, priority: Priority) -> Enter {
        Enter::new(self.clone(), priority)
    }

    /// Calls inside.
    pub fn in_flight(&self) -> u32 {
        self.word.load().inside
    }

    /// Calls waiting.
    pub fn waiting(&self) -> usize {
        self.word.load().waiting as usize
    }

    /// How many may be in at a time.
    pub fn capacity(&self) -> u32 {
        self.word.load().capacity
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic cannot leave the queue half changed: nothing in it calls code of others.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self, priority: Priority) -> Arrived {
        if self.word.try_enter() {
            return Arrived::Entered;
        }
        let now = self.clock.now();
        let mut queue = self.lock();
        self.word.stop_waiting(queue.shed(now));
        let arrived = if queue.waiting() >= self.max_waiting {
            if queue.displace(priority, now) {
                // The place in the queue changes hands: as many wait as before.
                Arrived::Waits(queue.push(priority, now))
            } else {
                Arrived::Refused(Refusal::QueueFull(queue.retry_after(priority, now)))
            }
        } else {
            match self.word.enter_or_wait() {
                Arrival::Entered => Arrived::Entered,
                Arrival::Waits => Arrived::Waits(queue.push(priority, now)),
            }
        };
        let wakers = queue.take_wakers();
        drop(queue);
        wake(wakers);
        arrived
    }

    /// Lets those in who have room, and turns those away who waited too long.
    fn admit(&self) {
        let now = self.clock.now();
        let mut queue = self.lock();
        self.word.stop_waiting(queue.shed(now));
        while self.word.try_admit() {
            queue.admit(now);
        }
        let wakers = queue.take_wakers();
        drop(queue);
        wake(wakers);
    }

    fn leave(&self) {
        if self.word.leave() {
            self.admit();
        }
    }

    fn poll_ticket(&self, ticket: Ticket, priority: Priority, waker: Waker) -> Option<Decision> {
        // The waker before this one is dropped after the lock: dropping runs code of others.
        let (decision, _before) = self.lock().poll(ticket, priority, waker);
        decision
    }

    fn forget(&self, ticket: Ticket, priority: Priority) {
        let mut queue = self.lock();
        let (decision, _waker) = queue.remove(ticket, priority);
        if decision.is_none() {
            self.word.stop_waiting(1);
        }
        drop(queue);
        if decision == Some(Ok(())) {
            self.leave();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gate")
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
