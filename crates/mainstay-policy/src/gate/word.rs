//! Who is in, who waits, and how many may be in: one atomic word, so that each decision sees all three at one moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of the capacity and of the calls inside; the calls that wait have the rest.
const BITS: u32 = 24;
const MASK: u64 = (1 << BITS) - 1;

/// Most calls that may be in.
pub(super) const MAX_CAPACITY: u32 = MASK as u32;
/// Most calls that may wait.
pub(super) const MAX_WAITING: usize = u16::MAX as usize;

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) capacity: u32,
    pub(super) inside: u32,
    pub(super) waiting: u32,
}

impl Count {
    fn unpack(word: u64) -> Self {
        Self {
            capacity: (word & MASK) as u32,
            inside: ((word >> BITS) & MASK) as u32,
            waiting: (word >> (2 * BITS)) as u32,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.capacity) | u64::from(self.inside) << BITS | u64::from(self.waiting) << (2 * BITS)
    }

    /// Whether a call that comes may go in at once.
    fn is_free(self) -> bool {
        self.waiting == 0 && self.inside < self.capacity
    }

    fn enter(self) -> Self {
        Self {
            inside: self.inside + 1,
            ..self
        }
    }

    fn wait(self) -> Self {
        Self {
            waiting: self.waiting + 1,
            ..self
        }
    }

    /// Whether a call that waits could go in.
    pub(super) fn can_admit(self) -> bool {
        self.waiting > 0 && self.inside < self.capacity
    }
}

/// What became of a call that came to the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Entered,
    Waits,
}

/// The word. `waiting` changes only under the lock of the queue; the rest at any time.
#[derive(Debug)]
pub(super) struct Word(AtomicU64);

impl Word {
    pub(super) fn new(capacity: u32) -> Self {
        let count = Count {
            capacity: capacity.min(MAX_CAPACITY),
            inside: 0,
            waiting: 0,
        };
        Self(AtomicU64::new(count.pack()))
    }

    pub(super) fn load(&self) -> Count {
        Count::unpack(self.0.load(Ordering::Acquire))
    }

    /// Changes the word by `change`, unless it says `None`. Gives what the word said before the last try.
    fn update(&self, change: impl Fn(Count) -> Option<Count>) -> Result<Count, Count> {
        let change = |word| change(Count::unpack(word)).map(Count::pack);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
            .map(Count::unpack)
            .map_err(Count::unpack)
    }

    /// Goes in when there is room and nobody waits.
    pub(super) fn try_enter(&self) -> bool {
        self.update(|count| count.is_free().then(|| count.enter()))
            .is_ok()
    }

    /// Goes in when there is room and nobody waits, else counts as waiting. Under the lock, at most [`MAX_WAITING`].
    pub(super) fn enter_or_wait(&self) -> Arrival {
        let before = self.update(|count| {
            Some(if count.is_free() {
                count.enter()
            } else {
                count.wait()
            })
        });
        match before {
            Ok(count) | Err(count) if count.is_free() => Arrival::Entered,
            _ => Arrival::Waits,
        }
    }

    /// One that waited goes in, when one waits and there is room. Under the lock.
    pub(super) fn try_admit(&self) -> bool {
        self.update(|count| {
            count.can_admit().then(|| Count {
                waiting: count.waiting - 1,
                ..count.enter()
            })
        })
        .is_ok()
    }

    /// `calls` stop waiting. Under the lock.
    pub(super) fn stop_waiting(&self, calls: u32) {
        let _ = self.update(|count| {
            Some(Count {
                waiting: count.waiting.saturating_sub(calls),
                ..count
            })
        });
    }

    /// One goes out. `true` when one that waits could go in.
    pub(super) fn leave(&self) -> bool {
        let left = |count: Count| Count {
            inside: count.inside.saturating_sub(1),
            ..count
        };
        self.update(|count| Some(left(count)))
            .is_ok_and(|before| left(before).can_admit())
    }

    /// Sets the capacity. `true` when one that waits could go in.
    pub(super) fn set_capacity(&self, capacity: u32) -> bool {
        let capacity = capacity.min(MAX_CAPACITY);
        self.update(|count| Some(Count { capacity, ..count }))
            .is_ok_and(|before| Count { capacity, ..before }.can_admit())
    }
}
