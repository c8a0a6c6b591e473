//! The calls of one priority that wait: the order they go in, and which of them waited too long.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use mainstay_base::{Priority, Timestamp};

use super::QueuePolicy;

/// Names a call that waits, in order of arrival.
pub(super) type Ticket = u64;

/// Critical calls may stand so many intervals before they are shed. Those that fit into the capacity can still wait
/// for each other for a while, and until then there are others to shed.
const CRITICAL_INTERVALS: u32 = 10;

/// The longest stay away, in intervals.
const MAX_RETRY_INTERVALS: u32 = 10;

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    since: Timestamp,
    /// `None` until it is polled.
    pub(super) waker: Option<Waker>,
}

#[derive(Debug)]
pub(super) struct Class {
    priority: Priority,
    waiters: BTreeMap<Ticket, Waiter>,
    /// Since when somebody waits here without a break. A class that stood and was empty for less than an interval goes on
    /// standing: a batch of places that became free at once has not ended an overload.
    stands_since: Timestamp,
    /// When somebody waited here last.
    waited_at: Timestamp,
}

impl Class {
    pub(super) fn new(priority: Priority) -> Self {
        Self {
            priority,
            waiters: BTreeMap::new(),
            stands_since: Timestamp::ZERO,
            waited_at: Timestamp::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn push(&mut self, ticket: Ticket, policy: &QueuePolicy, now: Timestamp) {
        let stood = self.waited_at.since(self.stands_since) > self.may_stand(policy);
        let goes_on = stood && now.since(self.waited_at) < policy.interval;
        if self.waiters.is_empty() && !goes_on {
            self.stands_since = now;
        }
        self.waited_at = now;
        let waiter = Waiter {
            since: now,
            waker: None,
        };
        self.waiters.insert(ticket, waiter);
    }

    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        self.waiters.get_mut(&ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        self.waiters.remove(&ticket)
    }

    /// The one whose turn it is: the oldest, or under pressure the newest, who can still be served in time.
    pub(super) fn pop(&mut self, policy: &QueuePolicy, now: Timestamp) -> Option<(Ticket, Waiter)> {
        if !self.waiters.is_empty() {
            self.waited_at = now;
        }
        if self.is_pressed(policy, now) {
            self.waiters.pop_last()
        } else {
            self.waiters.pop_first()
        }
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(Ticket, Waiter)> {
        self.waiters.pop_first()
    }

    /// One that waited too long: longer than the target in a class that stands.
    pub(super) fn pop_overdue(&mut self, policy: &QueuePolicy, now: Timestamp) -> Option<(Ticket, Waiter)> {
        let is_overdue = self.stands(policy, now) && self.oldest_wait(now) > policy.target;
        if is_overdue { self.pop_oldest() } else { None }
    }

    /// When to come back: what has stood for long stands for as long again, between one interval and ten.
    pub(super) fn retry_after(&self, policy: &QueuePolicy, now: Timestamp) -> Duration {
        let stood = if self.waiters.is_empty() {
            Duration::ZERO
        } else {
            now.since(self.stands_since)
        };
        stood.clamp(policy.interval, policy.interval * MAX_RETRY_INTERVALS)
    }

    /// Whether calls have waited here for so long without a break that they will not drain by themselves.
    fn stands(&self, policy: &QueuePolicy, now: Timestamp) -> bool {
        !self.waiters.is_empty() && now.since(self.stands_since) > self.may_stand(policy)
    }

    fn may_stand(&self, policy: &QueuePolicy) -> Duration {
        if self.priority == Priority::Critical {
            policy.interval * CRITICAL_INTERVALS
        } else {
            policy.interval
        }
    }

    /// Whether the newest goes first. Critical calls keep their order for as long as all of them can be served.
    fn is_pressed(&self, policy: &QueuePolicy, now: Timestamp) -> bool {
        let is_late = self.priority < Priority::Critical && self.oldest_wait(now) > policy.target;
        is_late || self.stands(policy, now)
    }

    fn oldest_wait(&self, now: Timestamp) -> Duration {
        let oldest = self.waiters.first_key_value();
        oldest.map_or(Duration::ZERO, |(_, waiter)| now.since(waiter.since))
    }
}
