//! How much may be on its way to a server at once. More is refused at once, rather than kept in memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many calls may be under way.
const MAX_CALLS: usize = 4_096;

/// What a call counts for one time; a larger one counts for more calls, so that all of them together have 64 MiB.
const BYTES_OF_CALL: usize = 16 * 1_024;

/// Lets calls in.
#[derive(Debug)]
pub(crate) struct Calls(Semaphore);

impl Calls {
    /// Lets a call of so many bytes in until the permit is dropped; `None` when there are too many.
    pub(crate) fn enter(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let calls = u32::try_from(1 + bytes / BYTES_OF_CALL).ok()?;
        self.0.try_acquire_many(calls).ok()
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self(Semaphore::new(MAX_CALLS))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_store::limits::MAX_BATCH_BYTES;

    use super::*;

    #[test]
    fn large_calls_count_for_more() {
        let calls = Calls::default();
        let large: Vec<_> = std::iter::from_fn(|| calls.enter(MAX_BATCH_BYTES)).collect();
        assert_eq!(large.len(), 7);
        let small: Vec<_> = std::iter::from_fn(|| calls.enter(0)).collect();
        assert_eq!(small.len(), 4_096 - 7 * 513);
        drop(small);
        assert!(calls.enter(100).is_some());
    }
}
