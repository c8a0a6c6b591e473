//! A cache before a state component: the suite of state components through it, and what it alone does.

mod cached;
mod component;
mod several;

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{ManualClock, Reply};
use mainstay_cache::state::{Kept, KeptCodec, Options, StateCache, weigh};
use mainstay_cache::{CacheStore, Declaration, Local, LocalOptions, Metrics, RedisStore, Settings};
use mainstay_state::conformance::{ManualWallClock, Subject};
use mainstay_state::query::{Query, QueryPage};
use mainstay_state::{
    Condition, Consistency, Delete, Features, Item, ListPage, Listing, Operation, Set, StateError,
    StateStore, conformance_suite,
};
use tokio::runtime::Handle;

use crate::redis::server::Server;
use component::Component;

const TTL: Duration = Duration::from_secs(100);
const STALE: Duration = Duration::from_secs(300);

/// The clocks of a world, which are moved together.
#[derive(Clone, Default)]
struct Clocks {
    clock: Arc<ManualClock>,
    wall_clock: Arc<ManualWallClock>,
}

impl Clocks {
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.wall_clock
            .advance_ms(u64::try_from(time.as_millis()).unwrap());
    }

    fn local(&self) -> Arc<Local<Kept>> {
        Arc::new(Local::new(LocalOptions {
            max_bytes: 1 << 20,
            weigh,
            clock: self.clock.clone(),
        }))
    }

    /// A cache before `component`, as one process has it.
    fn cache(
        &self,
        component: Arc<dyn StateStore>,
        store: Arc<dyn CacheStore<Kept>>,
        hears: bool,
    ) -> (StateCache, Metrics) {
        let declared = Declaration {
            ttl: TTL,
            stale: Some(STALE),
            refresh_percent: Some(0),
            ..Declaration::default()
        };
        let metrics = Metrics::default();
        let cache = StateCache::new(Options {
            name: "test".to_owned(),
            settings: Settings::new(&declared).unwrap(),
            component,
            store,
            hears,
            clock: self.clock.clone(),
            wall_clock: self.wall_clock.clone(),
            runtime: Handle::current(),
            metrics: metrics.clone(),
        });
        (cache, metrics)
    }
}

/// Whatever is asked, asks for nothing strong: so that the suite reads through the cache. But for several keys at one moment,
/// which only who asks for strong is promised.
#[derive(Debug)]
struct Lax(StateCache);

impl StateStore for Lax {
    fn features(&self) -> Features {
        self.0.features()
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        _: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        let consistency = match keys {
            [_] => Consistency::Eventual,
            _ => Consistency::Strong,
        };
        self.0.get(keys, consistency)
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        self.0.query(query, prefix)
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        self.0.list(listing)
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        self.0.transact(operations)
    }

    fn transact_while(
        &self,
        operations: Vec<Operation>,
        conditions: Vec<Condition>,
    ) -> Reply<'_, Result<(), StateError>> {
        self.0.transact_while(operations, conditions)
    }

    fn set(&self, set: Set) -> Reply<'_, Result<(), StateError>> {
        self.0.set(set)
    }

    fn delete(&self, delete: Delete) -> Reply<'_, Result<(), StateError>> {
        self.0.delete(delete)
    }

    fn bulk_set(&self, sets: Vec<Set>) -> Reply<'_, Result<(), StateError>> {
        self.0.bulk_set(sets)
    }

    fn bulk_delete(&self, deletes: Vec<Delete>) -> Reply<'_, Result<(), StateError>> {
        self.0.bulk_delete(deletes)
    }
}

struct InProcess {
    clocks: Clocks,
    state: Arc<Lax>,
}

impl Subject for InProcess {
    async fn open() -> Self {
        let clocks = Clocks::default();
        let component = Component::new(&clocks);
        let (cache, _) = clocks.cache(Arc::new(component), clocks.local(), false);
        let state = Arc::new(Lax(cache));
        Self { clocks, state }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clocks.pass(Duration::from_secs(seconds.into()));
    }

    fn malformed_etag() -> Option<&'static str> {
        None
    }
}

mod in_process {
    use super::{InProcess, conformance_suite};

    conformance_suite!(InProcess);
}

/// On a server, whose time cannot be moved: what expires does so by the wall clock alone.
struct OnServer {
    _server: Server,
    clocks: Clocks,
    state: Arc<Lax>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        crate::redis::server::is_installed()
    }

    async fn open() -> Self {
        let server = Server::start_new().await.unwrap();
        let clocks = Clocks::default();
        let redis = Arc::new(server.connect().await);
        let store = Arc::new(RedisStore::new(redis, "test", KeptCodec));
        let (cache, _) = clocks.cache(Arc::new(Component::new(&clocks)), store, false);
        Self {
            _server: server,
            clocks,
            state: Arc::new(Lax(cache)),
        }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clocks.pass(Duration::from_secs(seconds.into()));
    }

    fn malformed_etag() -> Option<&'static str> {
        None
    }
}

mod on_server {
    use super::{OnServer, conformance_suite};

    conformance_suite!(OnServer);
}
