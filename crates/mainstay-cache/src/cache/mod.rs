//! The cache: looks, judges, loads once for all who ask, refreshes ahead, and falls back to what is stale.

mod flights;
mod load;
mod many;
mod marks;
mod report;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::{CacheStatus, Clock, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::error::{CacheError, StoreError};
use crate::http::Unstorable;
use crate::metrics::{Metrics, Source, Stats};
use crate::policy::{self, Lifetime, Verdict};
use crate::port::{CacheStore, Entry, Fence, Selection, Usage};
use crate::settings::Settings;
use flights::Flights;
use load::Outcome;
pub(crate) use load::Purpose;
use marks::Marks;
pub use report::Report;

/// How to make a cache.
pub struct Options<V> {
    /// Names it in metrics, such as `storefront->catalog`.
    pub name: String,
    /// What was declared.
    pub settings: Settings,
    /// Where values are.
    pub store: Arc<dyn CacheStore<V>>,
    /// Says how old entries are; the store's, where it is in this process.
    pub clock: Arc<dyn Clock>,
    /// Where refreshes run. A load that somebody waits for runs where it was asked for.
    pub runtime: Handle,
    /// How long a load may take; then it has failed.
    pub load_timeout: Duration,
    /// How many loads may be under way as tasks of their own, which outlive their callers; further ones end with their callers,
    /// and another caller who waits takes over.
    pub max_loads: usize,
    /// How many refreshes may be under way at a time; a further one is left to a later look.
    pub max_refreshes: usize,
    /// Where it is counted.
    pub metrics: Metrics,
}

/// A read-through cache of values `V`, whose loads fail with `E`. Cheap to clone; usable from any runtime.
///
/// Values are cloned out of it, so a large one belongs into an `Arc` or `Bytes`.
pub struct Cache<V, E> {
    inner: Arc<Inner<V, E>>,
    /// Breaks off refreshes when nobody has the cache any more.
    stop: Arc<DropGuard>,
}

pub(crate) struct Inner<V, E> {
    name: String,
    settings: Settings,
    store: Arc<dyn CacheStore<V>>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    load_timeout: Duration,
    flights: Arc<Flights<Outcome<V, E>>>,
    marks: Marks,
    loads: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    /// Every task of this cache.
    tasks: TaskTracker,
    stop: CancellationToken,
    stats: Stats,
    /// Tells this process from others that share the store.
    seed: u64,
}

/// What a loader brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded<V, P = Infallible> {
    /// A value for everybody, good for so long: [`Settings::found`] or [`Settings::absent`], or less.
    Value(V, Lifetime),
    /// A value that says that there is none: an answer that tells of a failure. What is stale is better; without it,
    /// whoever waits gets this. It is never stored.
    Failure(V),
    /// An answer for the one who asked alone, which nobody else may get. Others make loads of their own, and so does
    /// everybody for a while, without waiting for each other.
    Private(P),
}

/// What a cache answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<V, P = Infallible> {
    /// What everybody gets.
    Shared(Cached<V>),
    /// What the loader had for this caller alone.
    Private(P),
}

/// A value with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached<V> {
    /// The value.
    pub value: V,
    /// Where it came from.
    pub status: CacheStatus,
    /// How old it is, from the beginning of its load; nothing when it was just loaded.
    pub age: Duration,
}

impl<V> Answer<V, Infallible> {
    /// The answer of loaders that have none for one caller alone.
    pub fn shared(self) -> Cached<V> {
        match self {
            Self::Shared(cached) => cached,
            Self::Private(never) => match never {},
        }
    }
}

/// What was found, judged.
pub(crate) struct Look<V> {
    entry: Option<Entry<V>>,
    verdict: Verdict,
    fence: Fence,
    at: Timestamp,
}

impl<V, E> Cache<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// A cache on a store. It needs no task until something is loaded.
    pub fn new(options: Options<V>) -> Self {
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            name: options.name,
            settings: options.settings,
            store: options.store,
            clock: options.clock,
            runtime: options.runtime,
            load_timeout: options.load_timeout,
            flights: Arc::default(),
            marks: Marks::default(),
            loads: permits(options.max_loads),
            refreshes: permits(options.max_refreshes),
            tasks: TaskTracker::new(),
            stop: stop.clone(),
            stats: Stats::default(),
            seed: fastrand::u64(..),
        });
        let source: Arc<dyn Source> = inner.clone();
        options.metrics.add(Arc::downgrade(&source));
        Self {
            inner,
            stop: Arc::new(stop.drop_guard()),
        }
    }

    /// Gives what is fresh; else loads it, once for all who ask for `key` at the same time.
    ///
    /// `loader` is called only if something has to be loaded: now, or in the background when a refresh is due. A load runs
    /// on when its caller goes away, until it ends or has taken too long. Where it cannot, because its runtime ends or because
    /// there are too many, one of those who wait takes over with its own loader. When a load fails, what is stale is given, and for a second nobody tries again.
    ///
    /// Every load begins after the look that led to it, and never joins one that began before something that covers its key
    /// was invalidated: once [`Cache::invalidate`] has answered, nobody gets an older value.
    ///
    /// Cancel safe. Must be called on a tokio runtime with a timer.
    ///
    /// # Errors
    /// When the load failed and nothing stale is left.
    pub async fn get_or_load<P, L, F>(&self, key: &str, loader: L) -> Result<Answer<V, P>, CacheError<E>>
    where
        P: Send + 'static,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V, P>, E>> + Send + 'static,
    {
        let mut look = self.inner.look(key).await;
        let is_fresh = look.verdict.is_fresh();
        let Some(entry) = look.entry.take_if(|_| is_fresh) else {
            // Boxed, so that a hit does not carry what a load needs.
            return Box::pin(self.inner.load(key, look, loader, Purpose::Miss)).await;
        };
        let is_due = look.verdict == Verdict::RefreshAhead;
        let refreshes = is_due && self.inner.refresh(key, look.fence, loader);
        let status = if refreshes {
            CacheStatus::Refresh
        } else {
            CacheStatus::Hit
        };
        Ok(Answer::Shared(self.inner.give(entry, status)))
    }

    /// Loads even what is fresh, for a caller who wants no old answer. Otherwise as [`Cache::get_or_load`].
    pub async fn reload<P, L, F>(&self, key: &str, loader: L) -> Result<Answer<V, P>, CacheError<E>>
    where
        P: Send + 'static,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V, P>, E>> + Send + 'static,
    {
        let look = self.inner.look(key).await;
        Box::pin(self.inner.load(key, look, loader, Purpose::Reload)).await
    }

    /// Forgets what is selected, whether it is there or being loaded. Once asked for, it goes on when this is dropped.
    ///
    /// # Errors
    /// When the store could not be reached: see [`CacheStore::invalidate`].
    pub async fn invalidate(&self, selection: Selection) -> Result<(), StoreError> {
        self.invalidate_all(vec![selection]).await
    }

    /// Forgets all that is selected, as [`Cache::invalidate`] does.
    ///
    /// # Errors
    /// When the store could not be reached.
    pub async fn invalidate_all(&self, selections: Vec<Selection>) -> Result<(), StoreError> {
        let inner = self.inner.clone();
        let done = self
            .inner
            .spawn(async move { inner.invalidate_all(&selections).await });
        // Nobody else stops it but the end of its runtime.
        done.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Forgets what is under `key`, unless that is what `is_current` likes. A load of it that is under way may be forgotten
    /// in any case.
    ///
    /// Not cancel safe: it may be forgotten or not.
    ///
    /// # Errors
    /// When the store could not be reached.
    pub async fn invalidate_unless(
        &self,
        key: &str,
        is_current: impl FnOnce(&V) -> bool,
    ) -> Result<(), StoreError> {
        let found = self.inner.store.get(key).await.entry;
        if found.is_some_and(|entry| is_current(&entry.value)) {
            return Ok(());
        }
        self.inner.invalidate_all(&[Selection::Key(key.to_owned())]).await
    }

    /// What was declared.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Counts a request that is none of the cache's business, see [`http`](crate::http).
    pub fn bypassed(&self) {
        self.inner.stats.bypassed.increment();
    }

    /// Counts an answer that may not be stored, see [`http`](crate::http).
    pub(crate) fn unstorable(&self, reason: Unstorable) {
        self.inner.stats.unstorable(reason);
    }

    /// Breaks off refreshes and waits until loads that are under way have ended, which takes as long as a load may. Values
    /// are given and loaded after it as before, but not refreshed.
    ///
    /// Cancel safe: what has stopped stays stopped.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

impl<V: Clone + 'static, E> Inner<V, E> {
    /// Looks into the store.
    async fn look(&self, key: &str) -> Look<V> {
        let lookup = self.store.get(key).await;
        if lookup.failure.is_some() {
            self.stats.store_errors.increment();
        }
        Look {
            verdict: self.judge(lookup.entry.as_ref()),
            entry: lookup.entry,
            fence: lookup.fence,
            at: self.clock.now(),
        }
    }

    async fn invalidate_all(&self, selections: &[Selection]) -> Result<(), StoreError> {
        self.stats.invalidations.add(selections.len() as u64);
        let forgetting = selections
            .iter()
            .map(|selection| self.store.invalidate(selection));
        let outcomes = join_all(forgetting).await;
        let failures = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        self.stats.store_errors.add(failures as u64);
        outcomes.into_iter().collect()
    }

    fn judge(&self, entry: Option<&Entry<V>>) -> Verdict {
        let Some(entry) = entry else {
            return Verdict::Miss;
        };
        let refresh_at = self.settings.refresh_fraction().map(|fraction| {
            let spread = policy::spread(entry.salt, self.seed);
            policy::refresh_at(entry.lifetime.ttl, fraction, spread)
        });
        policy::judge(entry.age, entry.lifetime, refresh_at)
    }

    /// Gives an entry and counts it.
    fn give(&self, entry: Entry<V>, status: CacheStatus) -> Cached<V> {
        self.stats.answered(status, entry.age);
        Cached {
            value: entry.value,
            status,
            age: entry.age,
        }
    }

    /// Gives what was just loaded and counts it.
    fn loaded(&self, value: V) -> Cached<V> {
        let (status, age) = (CacheStatus::Miss, Duration::ZERO);
        self.stats.answered(status, age);
        Cached { value, status, age }
    }
}

impl<V, E> Source for Inner<V, E>
where
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn usage(&self) -> Option<Usage> {
        self.store.usage()
    }
}

impl<V, E> Clone for Cache<V, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<V, E> fmt::Debug for Cache<V, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cache")
            .field("name", &self.inner.name)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
