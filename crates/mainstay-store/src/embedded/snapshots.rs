//! Who reads at which moment, so that nothing is thrown away that somebody still needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::version::Version;

/// The present moment, and the moments that are being read.
#[derive(Debug)]
pub(super) struct Snapshots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    present: Place,
    /// How many read at each bound.
    open: BTreeMap<u64, usize>,
}

/// A place in the line of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number in the tree below which everything is seen. The tree takes numbers for changes of its own too, and
    /// forgets them in a restart.
    pub bound: u64,
    /// The latest commit that is seen. It only grows, over restarts too.
    pub version: Version,
}

impl Snapshots {
    pub(super) fn new(present: Place) -> Self {
        let state = State {
            present,
            open: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Moves the present moment on. The committer alone calls this.
    pub(super) fn publish(&self, present: Place) {
        self.lock().present = present;
    }

    /// The present moment, kept readable until it is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Moment {
        let mut state = self.lock();
        let place = state.present;
        *state.open.entry(place.bound).or_insert(0) += 1;
        Moment {
            place,
            snapshots: self.clone(),
        }
    }

    /// Below this, nobody reads and nobody will.
    pub(super) fn watermark(&self) -> u64 {
        let state = self.lock();
        let oldest = state.open.first_key_value().map(|(bound, _)| *bound);
        oldest.unwrap_or(state.present.bound)
    }

    /// Below which numbers somebody reads, in order.
    pub(super) fn bounds(&self) -> Vec<u64> {
        self.lock().open.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that is being read.
#[derive(Debug)]
pub(super) struct Moment {
    place: Place,
    snapshots: Arc<Snapshots>,
}

impl Moment {
    /// Everything below this number is seen.
    pub(super) fn bound(&self) -> u64 {
        self.place.bound
    }

    /// The latest commit that is seen.
    pub(super) fn version(&self) -> Version {
        self.place.version
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        let mut state = self.snapshots.lock();
        let bound = self.place.bound;
        if let Some(count) = state.open.get_mut(&bound) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bound: u64) -> Place {
        Place {
            bound,
            version: Version::from_u64(bound - 5),
        }
    }

    #[test]
    fn the_watermark_waits_for_the_oldest_reader() {
        let snapshots = Arc::new(Snapshots::new(place(10)));
        assert_eq!(snapshots.watermark(), 10);
        let first = snapshots.open();
        snapshots.publish(place(20));
        let second = snapshots.open();
        let third = snapshots.open();
        assert_eq!((first.bound(), second.bound()), (10, 20));
        assert_eq!(second.version(), Version::from_u64(15));
        snapshots.publish(place(30));
        assert_eq!(snapshots.watermark(), 10);
        drop(first);
        assert_eq!(snapshots.watermark(), 20);
        drop(second);
        assert_eq!(snapshots.watermark(), 20);
        drop(third);
        assert_eq!(snapshots.watermark(), 30);
    }
}
