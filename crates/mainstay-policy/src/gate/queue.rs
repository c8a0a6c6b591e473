//! Who waits, in which order they go in, and who waited too long. No atomics, no wake-ups: it only decides.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;
use std::time::Duration;

use mainstay_base::{Priority, Timestamp};

use super::{QueuePolicy, Refusal};

/// Names a call that waits, in order of arrival.
pub(super) type Ticket = u64;

/// What was decided for a call.
pub(super) type Decision = Result<(), Refusal>;

#[derive(Debug)]
struct Waiter {
    since: Timestamp,
    /// `None` until it is polled.
    waker: Option<Waker>,
}

/// The calls of one priority that wait.
#[derive(Debug, Default)]
struct Class {
    waiters: BTreeMap<Ticket, Waiter>,
    /// Since when somebody waits here without a break.
    standing_since: Timestamp,
}

/// How many intervals critical calls may stand: when they fit they drain again, and until then others can be shed.
const CRITICAL_PATIENCE: u32 = 10;

impl Class {
    fn oldest_wait(&self, now: Timestamp) -> Duration {
        let oldest = self.waiters.first_key_value();
        oldest.map_or(Duration::ZERO, |(_, waiter)| now.since(waiter.since))
    }

    /// Whether it has stood for so long that it will not drain by itself.
    fn is_standing(&self, priority: Priority, policy: &QueuePolicy, now: Timestamp) -> bool {
        let patience = match priority {
            Priority::Critical => policy.interval * CRITICAL_PATIENCE,
            _ => policy.interval,
        };
        !self.waiters.is_empty() && now.since(self.standing_since) > patience
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    policy: QueuePolicy,
    next: Ticket,
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
            classes: Default::default(),
            decided: HashMap::new(),
            wake: Vec::new(),
        }
    }

    fn class(&mut self, priority: Priority) -> &mut Class {
        &mut self.classes[priority as usize]
    }

    pub(super) fn waiting(&self) -> usize {
        self.classes.iter().map(|class| class.waiters.len()).sum()
    }

    /// Queues a call. The caller has made sure that there is room.
    pub(super) fn push(&mut self, priority: Priority, now: Timestamp) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        let class = self.class(priority);
        if class.waiters.is_empty() {
            class.standing_since = now;
        }
        class.waiters.insert(
            ticket,
            Waiter {
                since: now,
                waker: None,
            },
        );
        ticket
    }

    /// Turns away all that waited too long. Gives how many.
    pub(super) fn shed(&mut self, now: Timestamp) -> u32 {
        let mut shed = 0;
        for priority in Priority::ALL {
            let policy = &self.policy;
            let class = &mut self.classes[priority as usize];
            let retry_after = retry_after(class, policy, now);
            while class.is_standing(priority, policy, now) {
                let Some(oldest) = class.waiters.first_entry() else {
                    break;
                };
                if now.since(oldest.get().since) <= policy.target {
                    break;
                }
                let (ticket, waiter) = oldest.remove_entry();
                self.decided
                    .insert(ticket, Err(Refusal::WaitedTooLong(retry_after)));
                self.wake.extend(waiter.waker);
                shed += 1;
            }
        }
        shed
    }

    /// Turns away the call of the lowest priority below `priority` that has waited longest. `false` if there is none.
    pub(super) fn displace(&mut self, priority: Priority, now: Timestamp) -> bool {
        let lower = Priority::ALL.into_iter().take_while(|lower| *lower < priority);
        for lower in lower {
            let policy = &self.policy;
            let class = &mut self.classes[lower as usize];
            let retry_after = retry_after(class, policy, now);
            if let Some((ticket, waiter)) = class.waiters.pop_first() {
                self.decided.insert(ticket, Err(Refusal::Displaced(retry_after)));
                self.wake.extend(waiter.waker);
                return true;
            }
        }
        false
    }

    /// When to come back, for a call that finds the queue full.
    pub(super) fn retry_after(&self, priority: Priority, now: Timestamp) -> Duration {
        retry_after(&self.classes[priority as usize], &self.policy, now)
    }

    /// Lets the next one in: the highest priority; there the oldest, or the newest while the class does not drain.
    pub(super) fn admit(&mut self, now: Timestamp) {
        for priority in Priority::ALL.into_iter().rev() {
            let policy = &self.policy;
            let class = &mut self.classes[priority as usize];
            let presses = priority < Priority::Critical && class.oldest_wait(now) > policy.target;
            let next = if presses || class.is_standing(priority, policy, now) {
                class.waiters.pop_last()
            } else {
                class.waiters.pop_first()
            };
            if let Some((ticket, waiter)) = next {
                self.decided.insert(ticket, Ok(()));
                self.wake.extend(waiter.waker);
                return;
            }
        }
    }

    /// What was decided for `ticket`, once. Until then `waker` is the one that is woken; gives back the one before it.
    pub(super) fn poll(
        &mut self,
        ticket: Ticket,
        priority: Priority,
        waker: Waker,
    ) -> (Option<Decision>, Option<Waker>) {
        if let Some(decision) = self.decided.remove(&ticket) {
            return (Some(decision), Some(waker));
        }
        let waiter = self.class(priority).waiters.get_mut(&ticket);
        (None, waiter.and_then(|waiter| waiter.waker.replace(waker)))
    }

    /// The call goes away. Gives what was decided for it, if anything was.
    pub(super) fn remove(&mut self, ticket: Ticket, priority: Priority) -> (Option<Decision>, Option<Waker>) {
        let waiter = self.class(priority).waiters.remove(&ticket);
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

/// What has stood for long stands for longer: as long again, between one interval and ten.
fn retry_after(class: &Class, policy: &QueuePolicy, now: Timestamp) -> Duration {
    let standing = if class.waiters.is_empty() {
        Duration::ZERO
    } else {
        now.since(class.standing_since)
    };
    standing.clamp(policy.interval, policy.interval * 10)
}
