//! `lock.in-memory`: the conformance suite, and its bound.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::ManualClock;
use mainstay_lock::conformance::Subject;
use mainstay_lock::{Expiry, InMemory, InMemoryOptions, LockError, LockStore, TryLock, conformance_suite};

struct Memory {
    clock: Arc<ManualClock>,
    locks: Arc<InMemory>,
}

impl Memory {
    fn with_room(max_locks: usize) -> Self {
        let clock = Arc::new(ManualClock::new());
        let locks = Arc::new(InMemory::new(InMemoryOptions {
            max_locks,
            clock: clock.clone(),
        }));
        Self { clock, locks }
    }
}

impl Subject for Memory {
    async fn open() -> Self {
        Self::with_room(1_000)
    }

    fn locks(&self) -> Arc<dyn LockStore> {
        self.locks.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clock.advance(Duration::from_secs(seconds.into()));
    }
}

conformance_suite!(Memory);

#[tokio::test]
async fn it_is_bounded() {
    let memory = Memory::with_room(2);
    let request = |resource: &str| TryLock {
        resource: resource.to_owned(),
        owner: "me".to_owned(),
        expiry: Expiry::from_seconds(10).unwrap(),
    };
    for resource in ["a", "b"] {
        assert!(memory.locks.try_lock(&request(resource)).await.unwrap().is_some());
    }
    assert_eq!(
        memory.locks.try_lock(&request("c")).await,
        Err(LockError::Full(2))
    );
    assert_eq!(memory.locks.try_lock(&request("a")).await, Ok(None));
    memory.pass_seconds(10).await;
    assert!(memory.locks.try_lock(&request("c")).await.unwrap().is_some());
}
