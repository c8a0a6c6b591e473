//! Configuration components.

use std::sync::Arc;

use mainstay_configuration::{ConfigurationStore, OnRedis, Stored};
use mainstay_store::Store;

use super::engine::EngineSettings;
use super::opened::Secrets;
use super::redis;
use super::settings::Settings;

/// What a configuration component keeps its settings in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Redis,
    Stored,
}

/// A configuration component that can be opened.
#[derive(Clone, Debug)]
pub(super) enum ConfigurationPlan {
    Redis(EngineSettings),
    Stored,
}

impl ConfigurationPlan {
    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        match engine {
            Engine::Redis => redis::read(settings).map(Self::Redis),
            Engine::Stored => Some(Self::Stored),
        }
    }

    /// Opens it.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        secrets: &Secrets<'_>,
    ) -> Result<Arc<dyn ConfigurationStore>, String> {
        match self {
            Self::Redis(settings) => Ok(Arc::new(OnRedis::new(redis::connect(settings, secrets).await?))),
            Self::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                Ok(Arc::new(stored))
            }
        }
    }
}
