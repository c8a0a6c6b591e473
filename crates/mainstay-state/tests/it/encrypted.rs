//! An encrypted component: the conformance suite, and what the component below sees.

use std::sync::Arc;

use mainstay_state::conformance::Subject;
use mainstay_state::encryption::{Encrypted, Encryption, EncryptionError, EncryptionKey};
use mainstay_state::{Consistency, Set, StateError, StateStore, conformance_suite};

use crate::memory::Memory;

struct Sealed {
    below: Memory,
    state: Arc<Encrypted>,
}

fn encryption(digit: &str) -> Encryption {
    let key = EncryptionKey::parse("state-key", &digit.repeat(64)).unwrap();
    Encryption::new(key, None)
}

impl Subject for Sealed {
    async fn open() -> Self {
        let below = Memory::open().await;
        let state = Arc::new(Encrypted::new(below.state(), encryption("7")));
        Self { below, state }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.below.pass_seconds(seconds).await;
    }

    fn malformed_etag() -> Option<&'static str> {
        Memory::malformed_etag()
    }
}

conformance_suite!(Sealed);

#[tokio::test]
async fn values_are_not_readable_below() {
    let subject = Sealed::open().await;
    subject.state.set(Set::new("k", "hunter2")).await.unwrap();
    let keys = ["k".to_owned()];
    let below = subject.below.state();
    let found = below.get(&keys, Consistency::Strong).await.unwrap();
    let stored = String::from_utf8(found[0].as_ref().unwrap().value.to_vec()).unwrap();
    assert!(
        stored.ends_with("||state-key") && !stored.contains("hunter2"),
        "{stored}"
    );

    let wrong = Encrypted::new(below, encryption("8"));
    let refused = wrong.get(&keys, Consistency::Strong).await;
    let error = EncryptionError::WrongKey("state-key".to_owned());
    assert_eq!(refused, Err(StateError::Encryption(error)));
}
