//! Who reads at which moment, so that nothing is thrown away that somebody still needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::version::Version;

/// The present moment, and the moments that are being read. A moment is the number below which everything is seen.
#[derive(Debug)]
pub(super) struct Snapshots {
    visible: AtomicU64,
    open: Mutex<BTreeMap<u64, usize>>,
}

impl Snapshots {
    /// Everything below `visible` is seen.
    pub(super) fn new(visible: u64) -> Self {
        Self {
            visible: AtomicU64::new(visible),
            open: Mutex::default(),
        }
    }

    /// Lets readers see everything below `visible`. The committer alone calls this.
    pub(super) fn publish(&self, visible: u64) {
        self.visible.fetch_max(visible, Ordering::AcqRel);
    }

    /// The present moment, kept readable until it is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Moment {
        let mut open = self.lock();
        let bound = self.visible.load(Ordering::Acquire);
        *open.entry(bound).or_insert(0) += 1;
        Moment {
            bound,
            snapshots: self.clone(),
        }
    }

    /// Below this, nobody reads and nobody will.
    pub(super) fn watermark(&self) -> u64 {
        let open = self.lock();
        let oldest = open.first_key_value().map(|(bound, _)| *bound);
        oldest.unwrap_or_else(|| self.visible.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that is being read.
#[derive(Debug)]
pub(super) struct Moment {
    bound: u64,
    snapshots: Arc<Snapshots>,
}

impl Moment {
    /// Everything below this number is seen.
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// The latest version that can be seen.
    pub(super) fn version(&self) -> Version {
        Version::from_u64(self.bound.saturating_sub(1))
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        let mut open = self.snapshots.lock();
        if let Some(count) = open.get_mut(&self.bound) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_waits_for_the_oldest_reader() {
        let snapshots = Arc::new(Snapshots::new(10));
        assert_eq!(snapshots.watermark(), 10);
        let first = snapshots.open();
        snapshots.publish(20);
        let second = snapshots.open();
        let third = snapshots.open();
        assert_eq!((first.bound(), second.bound()), (10, 20));
        assert_eq!(second.version(), Version::from_u64(19));
        snapshots.publish(30);
        assert_eq!(snapshots.watermark(), 10);
        drop(first);
        assert_eq!(snapshots.watermark(), 20);
        drop(second);
        assert_eq!(snapshots.watermark(), 20);
        drop(third);
        assert_eq!(snapshots.watermark(), 30);
    }
}
