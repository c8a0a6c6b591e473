//! Configuration components.

use std::sync::Arc;

use mainstay_configuration::{ConfigurationStore, OnPostgres, OnRedis, Stored, Table};
use mainstay_store::Store;

use super::engine::EngineSettings;
use super::opened::Secrets;
use super::settings::Settings;
use super::{postgres, redis};

/// The table when none is named.
const DEFAULT_TABLE: &str = "configuration";

/// What a configuration component keeps its settings in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Postgres,
    Redis,
    Stored,
}

/// A configuration component that can be opened.
#[derive(Clone, Debug)]
pub(super) enum ConfigurationPlan {
    Postgres(EngineSettings, Table),
    Redis(EngineSettings),
    Stored,
}

impl ConfigurationPlan {
    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        match engine {
            Engine::Postgres => {
                let (name, place) = match settings.text("table") {
                    Some((name, place)) => (name, Some(place)),
                    None => (DEFAULT_TABLE, None),
                };
                match (Table::new(name), place) {
                    (Ok(table), _) => postgres::read(settings).map(|server| Self::Postgres(server, table)),
                    (Err(problem), Some(place)) => {
                        settings.wrong(place, problem.to_string(), "name a table of the database");
                        None
                    }
                    (Err(_), None) => None,
                }
            }
            Engine::Redis => redis::read(settings).map(Self::Redis),
            Engine::Stored => Some(Self::Stored),
        }
    }

    /// Opens it. What can be changed here is given as itself too.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        secrets: &Secrets<'_>,
    ) -> Result<(Arc<dyn ConfigurationStore>, Option<Stored>), String> {
        match self {
            Self::Postgres(settings, table) => {
                let postgres = postgres::connect(settings, secrets).await?;
                let open = OnPostgres::open(postgres, table.clone()).await;
                Ok((Arc::new(open.map_err(|error| error.to_string())?), None))
            }
            Self::Redis(settings) => {
                let redis = redis::connect(settings, secrets).await?;
                Ok((Arc::new(OnRedis::new(redis)), None))
            }
            Self::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                Ok((Arc::new(stored.clone()), Some(stored)))
            }
        }
    }
}
