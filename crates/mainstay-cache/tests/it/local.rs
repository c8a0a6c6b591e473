//! The store in this process: the conformance suite, and its bound.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::ManualClock;
use mainstay_cache::conformance::Subject;
use mainstay_cache::{CacheStore, Entry, Lifetime, Local, LocalOptions, conformance_suite};

pub(crate) struct InProcess {
    clock: Arc<ManualClock>,
    store: Arc<Local<Bytes>>,
}

pub(crate) fn local(max_bytes: u64, clock: Arc<ManualClock>) -> Local<Bytes> {
    Local::new(LocalOptions {
        max_bytes,
        weigh: Bytes::len,
        clock,
    })
}

impl Subject for InProcess {
    async fn open() -> Option<Self> {
        let clock = Arc::new(ManualClock::new());
        let store = Arc::new(local(1 << 20, clock.clone()));
        Some(Self { clock, store })
    }

    fn store(&self) -> Arc<dyn CacheStore<Bytes>> {
        self.store.clone()
    }

    fn elsewhere(&self) -> Arc<dyn CacheStore<Bytes>> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

conformance_suite!(InProcess);

#[tokio::test]
async fn it_stays_within_its_bound() {
    let store = local(100_000, Arc::default());
    for index in 0..1_000 {
        let key = format!("key {index}");
        let fence = store.get(&key).await.fence;
        let entry = Entry {
            value: Bytes::from(vec![0; 1_000]),
            lifetime: Lifetime {
                ttl: Duration::from_secs(60),
                stale: Duration::ZERO,
            },
            age: Duration::ZERO,
            salt: 0,
        };
        store.put(&key, entry, fence).await.unwrap();
    }
    let usage = store.usage().unwrap();
    assert!((50_000..=100_000).contains(&usage.bytes), "{usage:?}");
    assert!((40..=100).contains(&usage.entries), "{usage:?}");
    assert_eq!(usage.entries + usage.evictions, 1_000, "{usage:?}");
}

#[tokio::test]
async fn what_is_larger_than_all_room_is_not_kept() {
    let store = local(10_000, Arc::default());
    let entry = Entry {
        value: Bytes::from(vec![0; 20_000]),
        lifetime: Lifetime {
            ttl: Duration::from_secs(60),
            stale: Duration::ZERO,
        },
        age: Duration::ZERO,
        salt: 0,
    };
    let fence = store.get("a").await.fence;
    store.put("a", entry, fence).await.unwrap();
    assert_eq!(store.usage().unwrap().entries, 0);
    assert!(store.get("a").await.entry.is_none());
}
