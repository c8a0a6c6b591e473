//! Clocks that tests own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Clock, ManualClock, Timestamp};
use mainstay_lock::stored::Clocks;
use mainstay_store::WallClock;

/// Both clocks of a machine, moved by hand.
#[derive(Clone, Default)]
pub(crate) struct Hands {
    pub monotonic: Arc<ManualClock>,
    pub wall: Arc<Wall>,
}

impl Hands {
    pub(crate) fn advance(&self, by: Duration) {
        self.monotonic.advance(by);
        self.wall.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            monotonic: self.monotonic.clone(),
            wall: self.wall.clone(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Wall(pub AtomicU64);

impl WallClock for Wall {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The clock of the runtime, which a test may have paused.
pub(crate) struct RuntimeClock(tokio::time::Instant);

impl RuntimeClock {
    pub(crate) fn shared() -> Arc<dyn Clock> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.0.elapsed()
    }
}
