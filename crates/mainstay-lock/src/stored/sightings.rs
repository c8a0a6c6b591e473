//! When locks expire, as far as this process can tell.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::Version;

use super::Clocks;
use crate::expiry::Expiry;

/// Most locks that are remembered. Of one that is not, the age is taken from the wall clock each time.
const MAX_SIGHTINGS: usize = 65_536;

/// By how much the wall clock and the store's clock may differ without a lock being ended too early. A lock whose age comes
/// from them lasts longer by as much.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5);

/// The locks that were seen, by their resource.
#[derive(Debug)]
pub(super) struct Sightings {
    clocks: Clocks,
    seen: Mutex<HashMap<String, Sighting>>,
}

/// A lock as it was seen.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// The commit that took or renewed it.
    sign: Version,
    expires_at: Timestamp,
}

impl Sightings {
    pub(super) fn new(clocks: Clocks) -> Self {
        Self {
            clocks,
            seen: Mutex::default(),
        }
    }

    /// This process has just taken or renewed the lock by the commit `sign`.
    pub(super) fn made(&self, resource: &str, sign: Version, expiry: Expiry) {
        let now = self.clocks.monotonic.now();
        let expires_at = now + expiry.duration();
        self.remember(resource, Sighting { sign, expires_at }, now);
    }

    /// Whether a lock has expired that was taken or renewed by the commit `sign`.
    pub(super) fn expired(&self, resource: &str, sign: Version, expiry: Expiry) -> bool {
        let now = self.clocks.monotonic.now();
        let seen = self.lock().get(resource).copied();
        if let Some(seen) = seen.filter(|seen| seen.sign == sign) {
            return seen.expires_at <= now;
        }
        let age = self.clocks.wall.unix_ms().saturating_sub(sign.unix_ms());
        let age = Duration::from_millis(age).saturating_sub(TOLERANCE);
        let left = expiry.duration().saturating_sub(age);
        let expires_at = now + left;
        self.remember(resource, Sighting { sign, expires_at }, now);
        left.is_zero()
    }

    /// The lock is gone.
    pub(super) fn forget(&self, resource: &str) {
        self.lock().remove(resource);
    }

    fn remember(&self, resource: &str, sighting: Sighting, now: Timestamp) {
        let mut seen = self.lock();
        if seen.len() >= MAX_SIGHTINGS {
            seen.retain(|_, old| old.expires_at > now);
            if seen.len() >= MAX_SIGHTINGS {
                seen.clear();
            }
        }
        seen.insert(resource.to_owned(), sighting);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use mainstay_base::ManualClock;
    use mainstay_store::WallClock;

    use super::*;

    struct Wall(AtomicU64);

    impl WallClock for Wall {
        fn unix_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    struct Machine {
        monotonic: Arc<ManualClock>,
        wall: Arc<Wall>,
        sightings: Sightings,
    }

    fn machine(wall_ms: u64) -> Machine {
        let (monotonic, wall) = (Arc::new(ManualClock::new()), Arc::new(Wall(wall_ms.into())));
        let sightings = Sightings::new(Clocks {
            monotonic: monotonic.clone(),
            wall: wall.clone(),
        });
        Machine {
            monotonic,
            wall,
            sightings,
        }
    }

    fn expiry() -> Expiry {
        Expiry::from_seconds(10).unwrap()
    }

    const SIGN: Version = Version::at_unix_ms(100_000);

    #[test]
    fn jumps_of_the_wall_clock_do_not_touch_what_is_held() {
        let machine = machine(100_000);
        machine.sightings.made("r", SIGN, expiry());
        for wall_ms in [0, 200_000, u64::MAX] {
            machine.wall.0.store(wall_ms, Ordering::Relaxed);
            assert!(!machine.sightings.expired("r", SIGN, expiry()), "{wall_ms}");
        }
        machine.monotonic.advance(Duration::from_secs(10));
        machine.wall.0.store(0, Ordering::Relaxed);
        assert!(machine.sightings.expired("r", SIGN, expiry()));
    }

    #[test]
    fn the_age_of_what_is_seen_first_comes_from_the_wall_clock() {
        let late = machine(115_000);
        assert!(late.sightings.expired("r", SIGN, expiry()));
        let early = machine(109_000);
        assert!(!early.sightings.expired("r", SIGN, expiry()));
        early.monotonic.advance(Duration::from_secs(6));
        assert!(early.sightings.expired("r", SIGN, expiry()));
    }

    #[test]
    fn a_wall_clock_that_is_ahead_by_the_tolerance_ends_nothing_early() {
        let machine = machine(105_000);
        assert!(!machine.sightings.expired("r", SIGN, expiry()));
        machine.monotonic.advance(Duration::from_millis(9_999));
        assert!(!machine.sightings.expired("r", SIGN, expiry()));
    }

    #[test]
    fn a_wall_clock_that_is_behind_costs_one_expiry_at_most() {
        let machine = machine(5);
        assert!(!machine.sightings.expired("r", SIGN, expiry()));
        machine.monotonic.advance(Duration::from_secs(10));
        assert!(machine.sightings.expired("r", SIGN, expiry()));
    }

    #[test]
    fn a_renewal_counts_anew() {
        let machine = machine(115_000);
        assert!(machine.sightings.expired("r", SIGN, expiry()));
        assert!(
            !machine
                .sightings
                .expired("r", Version::at_unix_ms(105_000), expiry())
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let machine = machine(100_000);
        for number in 0..MAX_SIGHTINGS + 10 {
            machine.sightings.made(&number.to_string(), SIGN, expiry());
        }
        assert!(machine.sightings.lock().len() <= MAX_SIGHTINGS);
    }
}
