//! State components.

use std::sync::Arc;
use std::time::Duration;

use mainstay_cache::state::StateCache;
use mainstay_state::encryption::{Encrypted, Encryption, EncryptionKey};
use mainstay_state::{InMemory, InMemoryOptions, KeyPrefix, StateStore, Stored, postgresql, redis};
use mainstay_store::{Store, Sweeper};

use super::caching::{CacheParts, StateCachePlan};
use super::engine::{EngineSettings, Metadata};
use super::opened::Secrets;
use super::settings::Settings;
use crate::resources::{Setting, SettingValue};

/// How often what has expired is removed; it is not shown in any case.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// What a state component keeps its values in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    InMemory,
    Postgres,
    Redis,
    Stored,
}

/// A state component that can be opened.
#[derive(Clone, Debug)]
pub(super) struct StatePlan {
    place: Place,
    pub(super) prefix: KeyPrefix,
    /// The key that seals and opens, and one that only opens.
    keys: Option<(Key, Option<Key>)>,
    /// The cache before it.
    pub(super) cache: Option<StateCachePlan>,
}

/// A state component that is open.
pub(super) struct OpenState {
    pub(super) store: Arc<dyn StateStore>,
    /// The cache that is a part of it.
    pub(super) cache: Option<StateCache>,
    pub(super) sweeper: Option<Sweeper>,
}

/// Where values are.
#[derive(Clone, Debug)]
enum Place {
    InMemory,
    Postgres(EngineSettings),
    Redis(EngineSettings),
    Stored,
}

/// A key for encryption: what it is called, and where it is.
#[derive(Clone, Debug)]
struct Key {
    name: String,
    value: SettingValue,
}

impl StatePlan {
    /// On the system's store, with Dapr's defaults.
    pub(super) fn stored() -> Self {
        Self {
            place: Place::Stored,
            prefix: KeyPrefix::default(),
            keys: None,
            cache: None,
        }
    }

    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        let prefix = match settings.text("keyPrefix") {
            None => KeyPrefix::default(),
            Some((text, place)) => match KeyPrefix::parse(text) {
                Ok(prefix) => prefix,
                Err(problem) => {
                    let help = "write appid, name, namespace, none, or a text of your own";
                    settings.wrong(place, problem.to_string(), help);
                    return None;
                }
            },
        };
        let primary = settings.get("primaryEncryptionKey").map(Key::of);
        let secondary = settings.get("secondaryEncryptionKey");
        let keys = match (primary, secondary) {
            (Some(primary), secondary) => Some((primary, secondary.map(Key::of))),
            (None, None) => None,
            (None, Some(secondary)) => {
                let message = "there is a `secondaryEncryptionKey` and no `primaryEncryptionKey`".to_owned();
                settings.wrong(&secondary.place, message, "the primary key is the one that seals");
                return None;
            }
        };
        let place = Place::read(engine, settings)?;
        let cache = StateCachePlan::read(settings)?;
        settings.unused(&[
            "actorStateStore",
            "outboxPublishPubsub",
            "outboxPublishTopic",
            "outboxPubsub",
            "outboxDiscardWhenMissingState",
        ]);
        Some(Self {
            place,
            prefix,
            keys,
            cache,
        })
    }

    /// Opens it. A cache stands below encryption, so that it holds nothing that the component does not.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        caches: CacheParts<'_>,
        secrets: &Secrets<'_>,
    ) -> Result<OpenState, String> {
        let (mut store, sweeper) = self.place.open(name, store, secrets).await?;
        let mut cache = None;
        if let Some(plan) = &self.cache {
            let opened = plan.open(name, store, caches, secrets).await?;
            store = Arc::new(opened.clone());
            cache = Some(opened);
        }
        if let Some((primary, secondary)) = &self.keys {
            let primary = primary.resolve(secrets).await?;
            let secondary = match secondary {
                Some(key) => Some(key.resolve(secrets).await?),
                None => None,
            };
            store = Arc::new(Encrypted::new(store, Encryption::new(primary, secondary)));
        }
        Ok(OpenState {
            store,
            cache,
            sweeper,
        })
    }
}

impl Place {
    fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        Some(match engine {
            Engine::InMemory => Self::InMemory,
            Engine::Postgres => {
                let names = [
                    &mainstay_postgres::METADATA_NAMES[..],
                    &postgresql::METADATA_NAMES,
                ]
                .concat();
                let check = |metadata: &Metadata| postgres_options(metadata).map(drop);
                Self::Postgres(EngineSettings::read(settings, &names, check)?)
            }
            Engine::Redis => Self::Redis(EngineSettings::read(
                settings,
                &mainstay_redis::METADATA_NAMES,
                |metadata| redis_options(metadata).map(drop),
            )?),
            Engine::Stored => Self::Stored,
        })
    }

    async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        secrets: &Secrets<'_>,
    ) -> Result<(Arc<dyn StateStore>, Option<Sweeper>), String> {
        match self {
            Self::InMemory => Ok((Arc::new(InMemory::new(InMemoryOptions::default())), None)),
            Self::Postgres(settings) => {
                let options = postgres_options(&settings.resolve(secrets).await?)?;
                let state = postgresql::Postgresql::new(&options).map_err(|error| error.to_string())?;
                state.connect().await.map_err(|error| error.to_string())?;
                let sweeper = options
                    .cleanup_interval
                    .map(|interval| state.start_sweeper(interval));
                Ok((Arc::new(state), sweeper))
            }
            Self::Redis(settings) => {
                let options = redis_options(&settings.resolve(secrets).await?)?;
                let state = redis::Redis::new(options).map_err(|error| error.to_string())?;
                state.connect().await.map_err(|error| error.to_string())?;
                Ok((Arc::new(state), None))
            }
            Self::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                let sweeper = stored.start_sweeper(SWEEP_INTERVAL);
                Ok((Arc::new(stored), Some(sweeper)))
            }
        }
    }
}

fn postgres_options(metadata: &Metadata) -> Result<postgresql::Options, String> {
    postgresql::Options::from_metadata(metadata).map_err(|error| error.to_string())
}

fn redis_options(metadata: &Metadata) -> Result<redis::Options, String> {
    redis::Options::from_metadata(metadata).map_err(|error| error.to_string())
}

impl Key {
    /// Sealed values name their key by its secret, as in Dapr; one that stands in the file is called as its setting.
    fn of(setting: &Setting) -> Self {
        let name = match &setting.value {
            SettingValue::Secret { name, .. } => name.clone(),
            SettingValue::Text(_) => setting.name.clone(),
        };
        Self {
            name,
            value: setting.value.clone(),
        }
    }

    async fn resolve(&self, secrets: &Secrets<'_>) -> Result<EncryptionKey, String> {
        let digits = secrets.value(&self.value).await?;
        EncryptionKey::parse(&self.name, &digits).map_err(|error| error.to_string())
    }
}
