//! Calls of the last while, counted in a ring of buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::Timestamp;

const BUCKETS: usize = 10;
/// A bucket is one word, so that counts and the slot they belong to change together: 24 bits of slot number, 20 bits of
/// calls, 20 bits of failures.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SLOT_MASK: u64 = (1 << 24) - 1;

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All calls.
    pub(crate) calls: u64,
    /// Those that failed.
    pub(crate) failures: u64,
}

/// A rolling window of ten buckets. Lock-free; counts saturate at about a million calls a bucket, which keeps ratios
/// close enough.
#[derive(Debug)]
pub(crate) struct Window {
    buckets: [AtomicU64; BUCKETS],
    /// 2^64 divided by the length of a slot in nanoseconds: a multiplication by it is a tenth of a division.
    slots_per_nano: u64,
}

impl Window {
    /// A window of this length; at least 20 ns.
    pub(crate) fn new(length: Duration) -> Self {
        let slot_nanos = (length.as_nanos() as u64 / BUCKETS as u64).max(2);
        // A slot number that is never current, so that an untouched bucket counts nothing.
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(pack(SLOT_MASK, Counts::default()))),
            slots_per_nano: u64::MAX / slot_nanos + 1,
        }
    }

    /// The number of the slot that `now` lies in.
    fn slot(&self, now: Timestamp) -> u64 {
        ((u128::from(now.as_nanos()) * u128::from(self.slots_per_nano)) >> 64) as u64
    }

    /// Counts one call.
    pub(crate) fn record(&self, failed: bool, now: Timestamp) {
        let slot = self.slot(now);
        let Some(bucket) = self.buckets.get((slot % BUCKETS as u64) as usize) else {
            return;
        };
        let slot = slot & SLOT_MASK;
        // The closure always gives a word, so the update cannot fail.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (held, counts) = unpack(word);
            let mut counts = if held == slot { counts } else { Counts::default() };
            if counts.calls < COUNT_MAX {
                counts.calls += 1;
                counts.failures += u64::from(failed);
            }
            Some(pack(slot, counts))
        });
    }

    /// What was counted within the window before `now`.
    pub(crate) fn counts(&self, now: Timestamp) -> Counts {
        let current = self.slot(now);
        let mut sum = Counts::default();
        for bucket in &self.buckets {
            let (held, counts) = unpack(bucket.load(Ordering::Relaxed));
            let age = (current & SLOT_MASK).wrapping_sub(held) & SLOT_MASK;
            if age < BUCKETS as u64 && held != SLOT_MASK {
                sum.calls += counts.calls;
                sum.failures += counts.failures;
            }
        }
        sum
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(pack(SLOT_MASK, Counts::default()), Ordering::Relaxed);
        }
    }
}

const fn pack(slot: u64, counts: Counts) -> u64 {
    (slot << (2 * COUNT_BITS)) | (counts.calls << COUNT_BITS) | counts.failures
}

const fn unpack(word: u64) -> (u64, Counts) {
    let counts = Counts {
        calls: (word >> COUNT_BITS) & COUNT_MAX,
        failures: word & COUNT_MAX,
    };
    (word >> (2 * COUNT_BITS), counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain list of calls: what lies surely inside is counted, what lies surely outside is not.
        #[test]
        fn counts_what_is_inside(calls in prop::collection::vec((0_u64..300, any::<bool>()), 1..200)) {
            let window = Window::new(Duration::from_secs(10));
            let mut now = Timestamp::ZERO;
            let mut all = Vec::new();
            for (gap_ms, failed) in calls {
                now = now + Duration::from_millis(gap_ms);
                window.record(failed, now);
                all.push((now, failed));
                let counts = window.counts(now);
                let within = |secs| all.iter().filter(|(at, _)| now.since(*at) < Duration::from_secs(secs)).count() as u64;
                prop_assert!(counts.calls >= within(9) && counts.calls <= within(10));
                prop_assert!(counts.failures <= counts.calls);
            }
            prop_assert_eq!(window.counts(now + Duration::from_secs(11)), Counts::default());
        }
    }
}
