//! Lock components.

use std::sync::Arc;
use std::time::Duration;

use mainstay_lock::{InMemory, InMemoryOptions, KeyPrefix, LockStore, OnRedis, Stored};
use mainstay_store::{Store, Sweeper};

use super::engine::EngineSettings;
use super::opened::Secrets;
use super::redis;
use super::settings::Settings;

/// How often locks that expired are removed; they can be taken in any case.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// What a lock component keeps its locks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    InMemory,
    Redis,
    Stored,
}

/// A lock component that can be opened.
#[derive(Clone, Debug)]
pub(super) struct LockPlan {
    place: Place,
    pub(super) prefix: KeyPrefix,
}

/// Where locks are.
#[derive(Clone, Debug)]
enum Place {
    InMemory,
    Redis(EngineSettings),
    Stored,
}

impl LockPlan {
    /// On the system's store, with Dapr's defaults.
    pub(super) fn stored() -> Self {
        Self {
            place: Place::Stored,
            prefix: KeyPrefix::default(),
        }
    }

    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        let prefix = match settings.text("keyPrefix") {
            None => KeyPrefix::default(),
            Some((text, place)) => match KeyPrefix::parse(text) {
                Ok(prefix) => prefix,
                Err(problem) => {
                    let help = "write appid, name, none, or a text of your own";
                    settings.wrong(place, problem.to_string(), help);
                    return None;
                }
            },
        };
        let place = match engine {
            Engine::InMemory => Place::InMemory,
            Engine::Redis => Place::Redis(redis::read(settings)?),
            Engine::Stored => Place::Stored,
        };
        Some(Self { place, prefix })
    }

    /// Opens it.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        secrets: &Secrets<'_>,
    ) -> Result<(Arc<dyn LockStore>, Option<Sweeper>), String> {
        match &self.place {
            Place::InMemory => Ok((Arc::new(InMemory::new(InMemoryOptions::default())), None)),
            Place::Redis(settings) => {
                let redis = redis::connect(settings, secrets).await?;
                Ok((Arc::new(OnRedis::new(redis)), None))
            }
            Place::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                let sweeper = stored.start_sweeper(SWEEP_INTERVAL);
                Ok((Arc::new(stored), Some(sweeper)))
            }
        }
    }
}
