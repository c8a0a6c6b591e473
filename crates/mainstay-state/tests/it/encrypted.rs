//! An encrypted component: the conformance suite, and what the component below sees.

use std::sync::Arc;

use mainstay_state::conformance::{ManualWallClock, Subject};
use mainstay_state::encryption::{Encrypted, Encryption, EncryptionError, EncryptionKey};
use mainstay_state::{
    Consistency, InMemory, InMemoryOptions, Set, StateError, StateStore, conformance_suite,
};

struct Sealed {
    clock: Arc<ManualWallClock>,
    below: Arc<InMemory>,
    state: Arc<Encrypted>,
}

fn encryption(digit: &str) -> Encryption {
    let key = EncryptionKey::parse("state-key", &digit.repeat(64)).unwrap();
    Encryption::new(key, None)
}

impl Subject for Sealed {
    async fn open() -> Self {
        let clock = Arc::new(ManualWallClock::default());
        let below = Arc::new(InMemory::new(InMemoryOptions {
            wall_clock: clock.clone(),
            ..InMemoryOptions::default()
        }));
        let state = Arc::new(Encrypted::new(below.clone(), encryption("7")));
        Self { clock, below, state }
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

conformance_suite!(Sealed);

#[tokio::test]
async fn values_are_not_readable_below() {
    let subject = Sealed::open().await;
    subject.state.set(Set::new("k", "hunter2")).await.unwrap();
    let keys = ["k".to_owned()];
    let below = subject.below.get(&keys, Consistency::Strong).await.unwrap();
    let stored = String::from_utf8(below[0].as_ref().unwrap().value.to_vec()).unwrap();
    assert!(
        stored.ends_with("||state-key") && !stored.contains("hunter2"),
        "{stored}"
    );

    let wrong = Encrypted::new(subject.below.clone(), encryption("8"));
    let refused = wrong.get(&keys, Consistency::Strong).await;
    let error = EncryptionError::WrongKey("state-key".to_owned());
    assert_eq!(refused, Err(StateError::Encryption(error)));
}
