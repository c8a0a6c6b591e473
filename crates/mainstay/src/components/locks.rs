//! Lock components.

use std::sync::Arc;
use std::time::Duration;

use mainstay_lock::stored::Sweeper;
use mainstay_lock::{InMemory, InMemoryOptions, KeyPrefix, LockStore, Stored};
use mainstay_store::Store;

use super::settings::Settings;

/// How often locks that expired are removed; they can be taken in any case.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// What a lock component keeps its locks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    InMemory,
    Stored,
}

/// A lock component that can be opened.
#[derive(Clone, Debug)]
pub(super) struct LockPlan {
    engine: Engine,
    pub(super) prefix: KeyPrefix,
}

impl LockPlan {
    /// With Dapr's defaults.
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            prefix: KeyPrefix::default(),
        }
    }

    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        let plan = Self::new(engine);
        let Some((text, place)) = settings.text("keyPrefix") else {
            return Some(plan);
        };
        match KeyPrefix::parse(text) {
            Ok(prefix) => Some(Self { prefix, ..plan }),
            Err(problem) => {
                let help = "write appid, name, none, or a text of your own";
                settings.wrong(place, problem.to_string(), help);
                None
            }
        }
    }

    /// Opens it.
    pub(super) fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
    ) -> Result<(Arc<dyn LockStore>, Option<Sweeper>), String> {
        match self.engine {
            Engine::InMemory => Ok((Arc::new(InMemory::new(InMemoryOptions::default())), None)),
            Engine::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                let sweeper = Sweeper::start(stored.clone(), SWEEP_INTERVAL);
                Ok((Arc::new(stored), Some(sweeper)))
            }
        }
    }
}
