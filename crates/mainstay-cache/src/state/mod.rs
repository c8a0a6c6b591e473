//! A cache before a state component.
//!
//! ```text
//!   get, eventual ──> Cache ── what is not fresh ──> the component, always strong
//!   get, strong ──────────────────────────────────> the component
//!   query, list ──────────────────────────────────> the component
//!   a change ─────────────────────────────────────> the component, then the cache forgets its keys, then the answer
//!
//!   Heard (state.mainstay) ──> the cache forgets what others have changed
//! ```
//!
//! Who was answered that a change is made, or that it cannot be, reads through this object nothing older. Others that keep
//! their own cache before the same engine may read what is older until it expires, unless they hear of the change.
//!
//! `ETag`s are cached with their values. One that is behind is a mismatch for the component, as any other; and as every
//! change makes the cache forget, the failed ones too, whoever reads and tries again gets the new one.
//!
//! It stands below encryption, so what it keeps is sealed as it is in the component.

mod change;
mod codec;
mod hearing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;
use mainstay_base::{Clock, Reply};
use mainstay_state::query::{Query, QueryPage};
use mainstay_state::{
    CacheMark, Condition, Consistency, Delete, Features, Found, Heard, Item, ListPage, Listing, Operation,
    ReadError, Set, StateError, StateStore, WallClock, Watch, expired,
};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::cache::{self, Cache, Cached, Loaded, Report};
use crate::error::{CacheError, StoreError};
use crate::metrics::Metrics;
use crate::policy::Lifetime;
use crate::port::{CacheStore, Selection};
use crate::settings::Settings;

use change::Change;
pub use codec::{KeptCodec, weigh};

/// What a key of a component holds, as it is cached; `None` when there is nothing.
pub type Kept = Option<Item>;

/// How long a read of the component may take; then what is stale is given.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads that may go on without whoever asked for them, and refreshes at a time.
const MAX_LOADS: usize = 1_024;
const MAX_REFRESHES: usize = 64;

/// How to put a cache before a component.
pub struct Options {
    /// The name of the component, which is the cache's in metrics.
    pub name: String,
    /// What was declared.
    pub settings: Settings,
    /// The component.
    pub component: Arc<dyn StateStore>,
    /// Where values are cached.
    pub store: Arc<dyn CacheStore<Kept>>,
    /// Whether to hear of changes that others make, where the component can tell. A cache that all of them share needs not.
    pub hears: bool,
    /// Says how old cached values are; the store's, where it is in this process.
    pub clock: Arc<dyn Clock>,
    /// Says when values expire; the component's.
    pub wall_clock: Arc<dyn WallClock>,
    /// Where refreshes and hearing run.
    pub runtime: Handle,
    /// Where it is counted.
    pub metrics: Metrics,
}

/// A component with a cache before it. Clones are the same one.
#[derive(Clone)]
pub struct StateCache(Arc<Inner>);

struct Inner {
    source: Source,
    values: Cache<Kept, StateError>,
    /// Changes under way.
    changes: TaskTracker,
    hearing: Option<AbortHandle>,
}

/// Loads from the component.
#[derive(Clone)]
struct Source {
    component: Arc<dyn StateStore>,
    settings: Settings,
    wall_clock: Arc<dyn WallClock>,
}

impl StateCache {
    /// Puts a cache before a component.
    pub fn new(options: Options) -> Self {
        let source = Source {
            component: options.component,
            settings: options.settings.clone(),
            wall_clock: options.wall_clock,
        };
        let values = Cache::new(cache::Options {
            name: options.name,
            settings: options.settings,
            store: options.store,
            clock: options.clock,
            runtime: options.runtime.clone(),
            load_timeout: LOAD_TIMEOUT,
            max_loads: MAX_LOADS,
            max_refreshes: MAX_REFRESHES,
            metrics: options.metrics,
        });
        let heard = options.hears.then(|| source.component.hear().ok()).flatten();
        let hearing = heard.map(|heard| {
            let following = hearing::follow(heard, values.clone());
            options.runtime.spawn(following).abort_handle()
        });
        Self(Arc::new(Inner {
            source,
            values,
            changes: TaskTracker::new(),
            hearing,
        }))
    }

    /// Forgets what is selected, by the component's keys.
    ///
    /// # Errors
    /// When the cache's own store could not be reached: see [`CacheStore::invalidate`].
    pub async fn invalidate(&self, selection: Selection) -> Result<(), StoreError> {
        self.0.values.invalidate(selection).await
    }

    /// How it does.
    pub fn report(&self) -> Report {
        self.0.values.report()
    }

    /// What was declared.
    pub fn settings(&self) -> &Settings {
        self.0.values.settings()
    }

    /// Ends what goes on in the background, once nobody uses it any more. Waits for changes and loads that are under way.
    pub async fn close(&self) {
        if let Some(hearing) = &self.0.hearing {
            hearing.abort();
        }
        self.0.changes.close();
        self.0.changes.wait().await;
        self.0.values.shutdown().await;
    }

    async fn find(&self, keys: &[String], consistency: Consistency) -> Result<Vec<Found>, StateError> {
        let Inner { source, values, .. } = &*self.0;
        if consistency == Consistency::Strong {
            self.pass(keys);
            return source.component.look_up(keys, consistency).await;
        }
        let answers = match keys {
            [key] => {
                let answer = values.get_or_load(key, source.one(key)).await;
                answer.map(|answer| vec![answer.shared()])
            }
            keys => {
                let many = |keys| source.clone().load_many(keys);
                values.get_or_load_many(keys, |key| source.one(key), many).await
            }
        };
        let answers = answers.map_err(|error| error.into_load(not_loaded))?;
        let now_ms = source.wall_clock.unix_ms();
        let found = answers.into_iter().map(|Cached { value, status, age }| Found {
            // Clocks are not exact, and an expired value must not be shown.
            item: value.filter(|item| !expired(item.expires_at_ms, now_ms)),
            cache: Some(CacheMark { status, age }),
        });
        Ok(found.collect())
    }

    /// Counts reads that are none of the cache's business.
    fn pass(&self, keys: &[String]) {
        for _ in keys {
            self.0.values.bypassed();
        }
    }

    fn change(&self, change: Change) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(change.run(&self.0))
    }
}

impl Source {
    /// The loader of a key.
    fn one(&self, key: &str) -> impl FnOnce() -> Loading + Send + use<> {
        let (source, keys) = (self.clone(), vec![key.to_owned()]);
        move || {
            let loading = source.load_many(keys);
            Reply::waiting(loading.and_then(async |loaded| match loaded.into_iter().next() {
                Some((item, lifetime)) => Ok(Loaded::Value(item, lifetime)),
                None => Err(not_loaded(&CacheError::Interrupted)),
            }))
        }
    }

    async fn load_many(self, keys: Vec<String>) -> Result<Vec<(Kept, Lifetime)>, StateError> {
        // Nothing older than what a change has left may be kept.
        let items = self.component.get(&keys, Consistency::Strong).await?;
        let now_ms = self.wall_clock.unix_ms();
        let loaded = items.into_iter().map(|item| {
            let lifetime = self.lifetime(item.as_ref(), now_ms);
            (item, lifetime)
        });
        Ok(loaded.collect())
    }

    /// As declared, and never longer than the value itself lives.
    fn lifetime(&self, item: Option<&Item>, now_ms: u64) -> Lifetime {
        let Some(item) = item else {
            return self.settings.absent();
        };
        let found = self.settings.found();
        item.expires_at_ms.map_or(found, |expires_at_ms| {
            found.gone_after(Duration::from_millis(expires_at_ms.saturating_sub(now_ms)))
        })
    }
}

type Loading = Reply<'static, Result<Loaded<Kept>, StateError>>;

fn not_loaded(error: &CacheError<std::convert::Infallible>) -> StateError {
    let reason = format!("the value was not read for the cache: {error}");
    ReadError::Unavailable(reason.into()).into()
}

impl StateStore for StateCache {
    fn features(&self) -> Features {
        self.0.source.component.features()
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        if consistency == Consistency::Strong {
            self.pass(keys);
            return self.0.source.component.get(keys, consistency);
        }
        Reply::waiting(async move {
            let found = self.find(keys, consistency).await?;
            Ok(found.into_iter().map(|found| found.item).collect())
        })
    }

    fn look_up<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Found>, StateError>> {
        Reply::waiting(self.find(keys, consistency))
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        self.0.source.component.query(query, prefix)
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        self.0.source.component.list(listing)
    }

    fn watch<'a>(&'a self, prefix: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        self.0.source.component.watch(prefix)
    }

    fn hear(&self) -> Result<Heard, StateError> {
        self.0.source.component.hear()
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::Transact(operations, Vec::new()))
    }

    fn transact_while(
        &self,
        operations: Vec<Operation>,
        conditions: Vec<Condition>,
    ) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::Transact(operations, conditions))
    }

    fn set(&self, set: Set) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::Set(set))
    }

    fn delete(&self, delete: Delete) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::Delete(delete))
    }

    fn bulk_set(&self, sets: Vec<Set>) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::BulkSet(sets))
    }

    fn bulk_delete(&self, deletes: Vec<Delete>) -> Reply<'_, Result<(), StateError>> {
        self.change(Change::BulkDelete(deletes))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(hearing) = &self.hearing {
            hearing.abort();
        }
    }
}

impl fmt::Debug for StateCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StateCache")
            .field("component", &self.0.source.component)
            .field("values", &self.0.values)
            .finish_non_exhaustive()
    }
}
