//! Who waits, who goes in next, and who waited too long. No atomics, no wake-ups: it only decides.

use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use mainstay_base::{Priority, Timestamp};

use super::class::{Class, Ticket, Waiter};
use super::{QueuePolicy, Refusal};

/// What was decided for a call.
pub(super) type Decision = Result<(), Refusal>;

#[derive(Debug)]
pub(super) struct Queue {
    policy: QueuePolicy,
    next: Ticket,
    /// In the order of [`Priority::ALL`], the lowest first.
    classes: [Class; Priority::ALL.len()],
    /// Decided, but not yet told to the one who waits.
    decided: HashMap<Ticket, Decision>,
    /// To wake once the lock is free.
    wake: Vec<Waker>,
}

impl Queue {
    pub(super) fn new(policy: QueuePolicy) -> Self {
        Self {
            policy,
            next: 0,
            classes: Priority::ALL.map(Class::new),
            decided: HashMap::new(),
            wake: Vec::new(),
        }
    }

    fn class(&mut self, priority: Priority) -> &mut Class {
        &mut self.classes[priority as usize]
    }

    pub(super) fn waiting(&self) -> usize {
        self.classes.iter().map(Class::len).sum()
    }

    /// Queues a call. The caller has made sure that there is room.
    pub(super) fn push(&mut self, priority: Priority, now: Timestamp) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.classes[priority as usize].push(ticket, &self.policy, now);
        ticket
    }

    /// Turns away all that waited too long. Gives how many.
    pub(super) fn shed(&mut self, now: Timestamp) -> u32 {
        let mut shed = 0;
        for index in 0..self.classes.len() {
            let class = &mut self.classes[index];
            let retry_after = class.retry_after(&self.policy, now);
            while let Some(overdue) = self.classes[index].pop_overdue(&self.policy, now) {
                self.decide(overdue, Err(Refusal::WaitedTooLong(retry_after)));
                shed += 1;
            }
        }
        shed
    }

    /// Turns away the call of the lowest priority below `priority` that has waited longest. `false` if there is none.
    pub(super) fn displace(&mut self, priority: Priority, now: Timestamp) -> bool {
        for class in self.classes.iter_mut().take(priority as usize) {
            let retry_after = class.retry_after(&self.policy, now);
            if let Some(oldest) = class.pop_oldest() {
                self.decide(oldest, Err(Refusal::Displaced(retry_after)));
                return true;
            }
        }
        false
    }

    /// When to come back, for a call that finds the queue full.
    pub(super) fn retry_after(&self, priority: Priority, now: Timestamp) -> Duration {
        self.classes[priority as usize].retry_after(&self.policy, now)
    }

    /// Lets the next one in, of the highest priority there is.
    pub(super) fn admit(&mut self, now: Timestamp) {
        let policy = &self.policy;
        let next = self
            .classes
            .iter_mut()
            .rev()
            .find_map(|class| class.pop(policy, now));
        if let Some(next) = next {
            self.decide(next, Ok(()));
        }
    }

    fn decide(&mut self, (ticket, waiter): (Ticket, Waiter), decision: Decision) {
        self.decided.insert(ticket, decision);
        self.wake.extend(waiter.waker);
    }

    /// What was decided for `ticket`, once. Until then `waker` is the one that is woken. Gives back the waker that is
    /// not needed, to be dropped without the lock.
    pub(super) fn poll(
        &mut self,
        ticket: Ticket,
        priority: Priority,
        waker: Waker,
    ) -> (Option<Decision>, Option<Waker>) {
        if let Some(decision) = self.decided.remove(&ticket) {
            return (Some(decision), Some(waker));
        }
        let waiter = self.class(priority).get_mut(ticket);
        (None, waiter.and_then(|waiter| waiter.waker.replace(waker)))
    }

    /// The call goes away. Gives what was decided for it, if anything was, and its waker.
    pub(super) fn remove(&mut self, ticket: Ticket, priority: Priority) -> (Option<Decision>, Option<Waker>) {
        let waiter = self.class(priority).remove(ticket);
        (
            self.decided.remove(&ticket),
            waiter.and_then(|waiter| waiter.waker),
        )
    }

    /// Those to wake since the last time.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wake)
    }
}
