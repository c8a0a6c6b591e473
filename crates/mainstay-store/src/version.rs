//! Versions: hybrid logical clock values that order all commits of a store.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bits below the milliseconds: 65,536 commits fit into one before the clock runs ahead of the wall.
const COUNTER_BITS: u32 = 16;

/// Engines keep the top bit of a sequence number for themselves.
const MAX: u64 = (1 << 63) - 1;

/// Where a commit stands in the total order of commits of one store.
///
/// A hybrid logical clock value (Kulkarni et al., 2014): milliseconds since 1970 in the upper 48 bits, a counter in the
/// lower 16. Versions of one store only grow, whatever the wall clock does; they are close to wall time while the wall
/// clock behaves. Only versions of one store compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Before every commit.
    pub const ZERO: Self = Self(0);

    /// The version with this number, as [`Version::as_u64`] gave it.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number: what an `ETag` shows and an engine stores.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Milliseconds since 1970 by the store's clock. Near wall time, never a proof of it.
    pub const fn unix_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The first version of this millisecond.
    pub const fn at_unix_ms(unix_ms: u64) -> Self {
        let number = unix_ms.saturating_mul(1 << COUNTER_BITS);
        Self(if number < MAX { number } else { MAX })
    }

    /// The smallest version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The wall clock as a port. Nothing that has to be right may depend on it: it jumps.
pub trait WallClock: Send + Sync + 'static {
    /// Milliseconds since 1970; may go backwards.
    fn unix_ms(&self) -> u64;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the wall clock")]
    fn unix_ms(&self) -> u64 {
        // Before 1970 counts as 1970: the hybrid clock then counts up from its last value.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Gives out versions. Pure: the wall time is an input.
///
/// A wall clock that jumps back leaves the hybrid clock counting from its last value; one that jumps ahead takes it
/// along, and it stays there. Order holds in both cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct HybridClock {
    last: Version,
}

impl HybridClock {
    /// A clock that gives out versions after `last`, the latest one the store knows.
    pub const fn after(last: Version) -> Self {
        Self { last }
    }

    /// The next version.
    pub fn tick(&mut self, unix_ms: u64) -> Version {
        self.last = self.last.next().max(Version::at_unix_ms(unix_ms));
        self.last
    }

    /// The latest version given out or seen.
    pub const fn last(&self) -> Version {
        self.last
    }

    /// Makes sure that later versions are after `seen`, which another node gave out.
    pub fn observe(&mut self, seen: Version) {
        self.last = self.last.max(seen);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn follows_the_wall_clock() {
        let mut clock = HybridClock::default();
        assert_eq!(clock.tick(1_000).unix_ms(), 1_000);
        assert_eq!(clock.tick(1_000).unix_ms(), 1_000);
        assert_eq!(clock.tick(1_001), Version::at_unix_ms(1_001));
    }

    #[test]
    fn a_jump_back_keeps_the_order() {
        let mut clock = HybridClock::after(Version::at_unix_ms(5_000));
        let first = clock.tick(10);
        assert_eq!(first, Version::at_unix_ms(5_000).next());
        assert_eq!(clock.tick(0), first.next());
    }

    #[test]
    fn a_jump_to_the_end_of_time_stays_below_the_reserved_bit() {
        let mut clock = HybridClock::default();
        assert!(clock.tick(u64::MAX).as_u64() < 1 << 63);
    }

    proptest! {
        #[test]
        fn only_grows(walls in proptest::collection::vec(0_u64..1 << 40, 1..200)) {
            let mut clock = HybridClock::default();
            let versions: Vec<_> = walls.iter().map(|wall| clock.tick(*wall)).collect();
            prop_assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
