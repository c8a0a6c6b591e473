//! `state.in-memory`: the conformance suite.

use std::sync::Arc;

use mainstay_state::conformance::{ManualWallClock, Subject};
use mainstay_state::{InMemory, InMemoryOptions, Listing, StateError, StateStore, conformance_suite};

pub(crate) struct Memory {
    clock: Arc<ManualWallClock>,
    state: Arc<InMemory>,
}

impl Subject for Memory {
    async fn open() -> Self {
        let clock = Arc::new(ManualWallClock::default());
        let state = Arc::new(InMemory::new(InMemoryOptions {
            wall_clock: clock.clone(),
            ..InMemoryOptions::default()
        }));
        Self { clock, state }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clock.advance_ms(u64::from(seconds) * 1_000);
    }

    fn malformed_etag() -> Option<&'static str> {
        None
    }
}

conformance_suite!(Memory);

#[tokio::test]
async fn keys_can_be_listed_and_not_watched() {
    let subject = Memory::open().await;
    // The suite skips components that say they cannot list.
    assert!(subject.state.list(&Listing::default()).await.is_ok());
    assert_eq!(
        subject.state.watch("").await.unwrap_err(),
        StateError::CannotWatch
    );
}
