//! The store in this process.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_base::metric::Counter;
use mainstay_base::{Clock, Reply, Timestamp};
use moka::sync::Cache;

use crate::error::StoreError;
use crate::generation::Generations;
use crate::policy::Lifetime;
use crate::port::{CacheStore, Entry, Fence, Lookup, Selection, Usage};

/// Bytes that an entry takes beside its key and value, roughly.
const OVERHEAD_BYTES: usize = 200;

/// How to keep values in this process.
pub struct LocalOptions<V> {
    /// Most bytes of keys and values together. What is used often stays (W-TinyLFU).
    pub max_bytes: u64,
    /// How many bytes a value takes.
    pub weigh: fn(&V) -> usize,
    /// Says how old entries are.
    pub clock: Arc<dyn Clock>,
}

/// Keeps values in this process. Reading takes no lock; a put or an invalidation holds one of many for a moment. Callers do
/// the housekeeping in small pieces, so no task is needed.
pub struct Local<V> {
    entries: Cache<Arc<str>, Kept<V>>,
    generations: Generations,
    clock: Arc<dyn Clock>,
    evictions: Arc<Counter>,
}

#[derive(Clone)]
struct Kept<V> {
    value: V,
    lifetime: Lifetime,
    salt: u64,
    /// How old it was when it was put.
    age: Duration,
    put: Timestamp,
}

impl<V> Kept<V> {
    fn age(&self, now: Timestamp) -> Duration {
        self.age.saturating_add(now.since(self.put))
    }
}

/// Frees the room of what has expired. That it is not given any more does not depend on this.
struct Expiry(Arc<dyn Clock>);

impl<V> moka::Expiry<Arc<str>, Kept<V>> for Expiry {
    fn expire_after_create(&self, _: &Arc<str>, kept: &Kept<V>, _: Instant) -> Option<Duration> {
        let age = kept.age(self.0.now());
        Some(kept.lifetime.total().saturating_sub(age))
    }

    fn expire_after_update(
        &self,
        key: &Arc<str>,
        kept: &Kept<V>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, kept, now)
    }
}

impl<V: Clone + Send + Sync + 'static> Local<V> {
    /// An empty store.
    pub fn new(options: LocalOptions<V>) -> Self {
        let LocalOptions {
            max_bytes,
            weigh,
            clock,
        } = options;
        let evictions = Arc::new(Counter::default());
        let evicted = evictions.clone();
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(move |key: &Arc<str>, kept: &Kept<V>| {
                let bytes = key
                    .len()
                    .saturating_add(weigh(&kept.value))
                    .saturating_add(OVERHEAD_BYTES);
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .expire_after(Expiry(clock.clone()))
            .eviction_listener(move |_, _, cause| {
                if cause == moka::notification::RemovalCause::Size {
                    evicted.increment();
                }
            })
            .build();
        Self {
            entries,
            generations: Generations::default(),
            clock,
            evictions,
        }
    }

    fn look(&self, key: &str) -> Lookup<V> {
        // The fence comes first: what is invalidated after it cannot be taken for older.
        let fence = self.fence(key);
        let entry = self.entries.get(key).map(|kept| Entry {
            age: kept.age(self.clock.now()),
            value: kept.value,
            lifetime: kept.lifetime,
            salt: kept.salt,
        });
        Lookup {
            entry: entry.filter(|entry| entry.age < entry.lifetime.total()),
            fence,
            failure: None,
        }
    }

    fn fence(&self, key: &str) -> Fence {
        Fence([self.generations.of(key), 0, 0, 0])
    }

    fn store(&self, key: &str, entry: Entry<V>, fence: Fence) -> bool {
        let kept = Kept {
            age: entry.age,
            put: self.clock.now(),
            value: entry.value,
            lifetime: entry.lifetime,
            salt: entry.salt,
        };
        let Fence([number, ..]) = fence;
        let store = || self.entries.insert(Arc::from(key), kept);
        self.generations.store_if(key, number, store)
    }

    /// Walks through all keys, so it has its own thread.
    async fn remove_prefix(&self, prefix: String) {
        let entries = self.entries.clone();
        let walk = move || {
            for (key, _) in &entries {
                if key.starts_with(&prefix) {
                    entries.invalidate(&**key);
                }
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(walk).await {
            // Its runtime ends, or it has a defect: rather too much is forgotten than too little.
            tracing::warn!(%error, "all cached values are forgotten, because some could not be found");
            self.entries.invalidate_all();
        }
    }
}

impl<V: Clone + Send + Sync + 'static> CacheStore<V> for Local<V> {
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Lookup<V>> {
        Reply::ready(self.look(key))
    }

    fn put<'a>(&'a self, key: &'a str, entry: Entry<V>, fence: Fence) -> Reply<'a, Result<bool, StoreError>> {
        Reply::ready(Ok(self.store(key, entry, fence)))
    }

    /// Forgetting one key is done at once; otherwise not cancel safe.
    fn invalidate<'a>(&'a self, selection: &'a Selection) -> Reply<'a, Result<(), StoreError>> {
        self.generations.raise(selection);
        let prefix = match selection {
            Selection::Key(key) => {
                self.entries.invalidate(key.as_str());
                return Reply::ready(Ok(()));
            }
            Selection::Prefix(prefix) => prefix.clone(),
            Selection::All => String::new(),
        };
        Reply::waiting(async move {
            self.remove_prefix(prefix).await;
            Ok(())
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.entries.run_pending_tasks();
        Some(Usage {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            evictions: self.evictions.get(),
        })
    }
}

impl<V> fmt::Debug for Local<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Local").finish_non_exhaustive()
    }
}
