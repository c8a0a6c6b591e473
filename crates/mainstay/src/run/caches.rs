//! The caches of declared calls.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_api::{CallCaches, Metrics};
use mainstay_base::{AppId, SystemClock};
use mainstay_cache::http::{CallCache, Rules, Stored, StoredCodec};
use mainstay_cache::{Cache, CacheStore, Local, LocalOptions, Options, RedisStore};
use mainstay_mesh::CallError;
use tokio::runtime::Handle;

use crate::assembly::{Assembly, Edge};
use crate::cache_servers::CacheServers;
use crate::failure::Failure;
use crate::manifest::{CachePlan, Manifest};

/// Loads of one edge that may go on without whoever asked for them.
const MAX_LOADS: usize = 256;

/// Refreshes of one edge at a time.
const MAX_REFRESHES: usize = 32;

/// Every cache of a system.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    by_caller: HashMap<AppId, Arc<CallCaches>>,
}

impl Caches {
    /// Opens the caches that the manifest declares. A Redis need not be there: without it, calls are made.
    pub(crate) fn open(
        manifest: &Manifest,
        assembly: &Assembly,
        servers: &CacheServers,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        let mut by_caller: HashMap<AppId, CallCaches> = HashMap::new();
        for app in &manifest.apps {
            for call in &app.calls {
                let Some(plan) = &call.cache else { continue };
                let edges = &mut assembly.edges.iter();
                let Some(edge) = edges.find(|edge| edge.caller == *app.id() && edge.target == call.target)
                else {
                    continue;
                };
                let cache = open_one(plan, edge, servers, metrics)?;
                let of_caller = by_caller.entry(app.id().clone()).or_default();
                of_caller.insert(call.target.to_string(), cache);
            }
        }
        let shared = by_caller.into_iter().map(|(app, caches)| (app, Arc::new(caches)));
        Ok(Self {
            by_caller: shared.collect(),
        })
    }

    /// Those of the calls of one app.
    pub(crate) fn of(&self, app: &AppId) -> Arc<CallCaches> {
        self.by_caller.get(app).cloned().unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<CallCache<CallError>> {
        let caches = self.by_caller.values().flat_map(|caches| caches.values());
        caches.cloned().collect()
    }

    /// Ends what goes on in the background.
    pub(crate) async fn close(self) {
        for caches in self.by_caller.values() {
            for cache in caches.values() {
                cache.answers().shutdown().await;
            }
        }
    }
}

fn open_one(
    plan: &CachePlan,
    edge: &Edge,
    servers: &CacheServers,
    metrics: &Metrics,
) -> Result<CallCache<CallError>, Failure> {
    let name = format!("{}->{}", edge.caller, edge.target);
    let clock = Arc::new(SystemClock::new());
    let store: Arc<dyn CacheStore<Stored>> = match &plan.redis {
        Some(url) => {
            let server = servers.get(url);
            let server = server.map_err(|error| Failure::usage(error.to_string()))?;
            Arc::new(RedisStore::new(server, &name, StoredCodec))
        }
        None => Arc::new(Local::new(LocalOptions {
            max_bytes: plan.settings.max_bytes(),
            weigh: Stored::weigh,
            clock: clock.clone(),
        })),
    };
    let rules = Rules::new(edge.target.as_str(), &plan.settings);
    let answers = Cache::new(Options {
        name,
        settings: plan.settings.clone(),
        store,
        clock,
        runtime: Handle::current(),
        load_timeout: edge.derived.policy.call_timeout,
        max_loads: MAX_LOADS,
        max_refreshes: MAX_REFRESHES,
        metrics: metrics.caches().clone(),
    });
    Ok(CallCache::new(rules, answers))
}
