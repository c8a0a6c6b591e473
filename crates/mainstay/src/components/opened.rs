//! Components that are open, for as long as the system runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_api::{
    About, Blocks, ConfigurationComponent, LockComponent, Metrics, SecretComponent, StateComponent,
};
use mainstay_secrets::Scopes;
use mainstay_state::crdt::Merging;
use mainstay_store::{Store, Sweeper, SystemWallClock};

use super::caching::CacheParts;
use super::secrets::Folders;
use super::{Plan, Planned};
use crate::cache_servers::CacheServers;
use crate::failure::Failure;
use crate::resources::SettingValue;

/// How long reads that a cache began may take to end.
const LAST_LOADS: Duration = Duration::from_secs(1);

/// What components need from around them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The store of the system; a sidecar has none.
    pub(crate) store: Option<&'a Arc<dyn Store>>,
    /// Where paths in component files start.
    pub(crate) dir: &'a Path,
    /// Where the system keeps its data.
    pub(crate) data_dir: &'a Path,
    /// The namespace; empty when there is none.
    pub(crate) namespace: &'a str,
    /// The name of this process among those that share components.
    pub(crate) node: &'a str,
    /// The Redis servers of their caches.
    pub(crate) cache_servers: &'a CacheServers,
    /// Where their operations are counted.
    pub(crate) metrics: &'a Metrics,
}

/// Everything that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    components: Vec<(Planned, Component)>,
    sweepers: Vec<Sweeper>,
    namespace: String,
    // Last, so that it goes when everything else has.
    store: Option<Arc<dyn Store>>,
}

#[derive(Debug)]
enum Component {
    Configuration(ConfigurationComponent),
    Locks(LockComponent),
    Secrets(SecretComponent),
    State(StateComponent),
}

/// The secret components that are open, for those that need a secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Secrets<'a>(&'a [(Planned, Component)]);

impl Opened {
    /// Opens every component.
    pub(crate) async fn open(planned: &[Planned], around: Surroundings<'_>) -> Result<Self, Failure> {
        let mut opened = Self {
            components: Vec::new(),
            sweepers: Vec::new(),
            namespace: around.namespace.to_owned(),
            store: around.store.cloned(),
        };
        // Others need them.
        let is_secret = |one: &&Planned| matches!(one.plan, Plan::Secrets(_));
        let (secrets, others): (Vec<&Planned>, Vec<&Planned>) = planned.iter().partition(is_secret);
        for one in secrets.into_iter().chain(others) {
            opened.add(one, around).await?;
        }
        Ok(opened)
    }

    async fn add(&mut self, one: &Planned, around: Surroundings<'_>) -> Result<(), Failure> {
        let limit = one.init_timeout;
        let opening = tokio::time::timeout(limit, self.open_one(one, around));
        let outcome = opening.await.unwrap_or_else(|_| {
            let limit = mainstay_base::format_duration(limit);
            Err(format!("it is not there after {limit} (`initTimeout`)"))
        });
        let named = || format!("the component `{}` ({})", one.name, one.kind.name());
        match outcome {
            Ok(component) => self.components.push((one.clone(), component)),
            Err(reason) if one.ignore_errors => tracing::warn!("{} is not there: {reason}", named()),
            Err(reason) => {
                return Err(Failure::refused(format!(
                    "{} cannot be opened: {reason}",
                    named()
                )));
            }
        }
        Ok(())
    }

    async fn open_one(&mut self, one: &Planned, around: Surroundings<'_>) -> Result<Component, String> {
        let about = About {
            kind: one.kind.name().to_owned(),
            version: one.version.clone(),
            meter: around.metrics.meter(&one.name, one.kind.name()),
        };
        let (store, secrets) = (self.store.as_ref(), Secrets(&self.components));
        Ok(match &one.plan {
            Plan::Configuration(plan) => {
                let (store, stored) = plan.open(&one.name, store, &secrets).await?;
                Component::Configuration(ConfigurationComponent { about, store, stored })
            }
            Plan::Locks(plan) => {
                let (store, sweeper) = plan.open(&one.name, store, &secrets).await?;
                self.sweepers.extend(sweeper);
                let prefix = plan.prefix.clone();
                Component::Locks(LockComponent { about, store, prefix })
            }
            Plan::Secrets(plan) => {
                let folders = Folders {
                    dir: around.dir,
                    data_dir: around.data_dir,
                };
                let (store, stored) = plan.open(&one.name, store, folders, &secrets).await?;
                Component::Secrets(SecretComponent { about, store, stored })
            }
            Plan::State(plan) => {
                let parts = CacheParts {
                    servers: around.cache_servers,
                    metrics: around.metrics,
                };
                let state = plan.open(&one.name, store, parts, &secrets).await?;
                self.sweepers.extend(state.sweeper);
                let store = Merging::new(state.store, around.node, Arc::new(SystemWallClock));
                Component::State(StateComponent {
                    about,
                    store: Arc::new(store),
                    cache: state.cache,
                    prefix: plan.prefix.clone(),
                    namespace: self.namespace.clone(),
                })
            }
        })
    }

    /// What an app may use, and which secrets of that it may read.
    pub(crate) fn blocks(&self, app: &str, secret_scopes: Scopes) -> Arc<Blocks> {
        self.blocks_of(|planned| planned.is_for(app), secret_scopes)
    }

    /// Everything, for who operates the system.
    pub(crate) fn all_blocks(&self) -> Arc<Blocks> {
        self.blocks_of(|_| true, Scopes::default())
    }

    /// The secret components.
    pub(super) fn secrets(&self) -> Secrets<'_> {
        Secrets(&self.components)
    }

    fn blocks_of(&self, are_meant: impl Fn(&Planned) -> bool, secret_scopes: Scopes) -> Arc<Blocks> {
        let mut blocks = Blocks {
            secret_scopes,
            ..Blocks::default()
        };
        for (planned, component) in self.components.iter().filter(|(planned, _)| are_meant(planned)) {
            let name = planned.name.clone();
            match component {
                Component::Configuration(one) => drop(blocks.configuration.insert(name, one.clone())),
                Component::Locks(one) => drop(blocks.locks.insert(name, one.clone())),
                Component::Secrets(one) => drop(blocks.secrets.insert(name, one.clone())),
                Component::State(one) => drop(blocks.state.insert(name, one.clone())),
            }
        }
        Arc::new(blocks)
    }

    /// Ends what goes on in the background, once nobody uses the components any more.
    pub(crate) async fn close(self) {
        for sweeper in self.sweepers {
            sweeper.stop().await;
        }
        let caches = self
            .components
            .iter()
            .filter_map(|(_, component)| match component {
                Component::State(state) => state.cache.as_ref(),
                _ => None,
            });
        for cache in caches {
            // What takes longer is broken off when its runtime ends.
            let _ = tokio::time::timeout(LAST_LOADS, cache.close()).await;
        }
    }
}

impl Secrets<'_> {
    /// The value of a setting, fetched where it is a secret.
    pub(super) async fn value(&self, value: &SettingValue) -> Result<String, String> {
        let (store, name, key) = match value {
            SettingValue::Text(text) => return Ok(text.clone()),
            SettingValue::Secret { store, name, key } => (store, name, key),
        };
        let open = self.0.iter().find_map(|(planned, component)| match component {
            Component::Secrets(secrets) if planned.name == *store => Some(secrets),
            _ => None,
        });
        let open = open.ok_or_else(|| format!("there is no secret store `{store}`"))?;
        let secret = open.store.get(name).await.map_err(|error| error.to_string())?;
        let part = secret
            .value(key)
            .ok_or_else(|| format!("the secret `{name}` of `{store}` has no part `{key}`"))?;
        Ok(part.expose().to_owned())
    }
}
