//! Components that are open, for as long as the system runs.

use std::path::Path;
use std::sync::Arc;

use mainstay_api::{About, Blocks, ConfigurationComponent, LockComponent, StateComponent};
use mainstay_store::Store;

use super::{Plan, Planned, StorePlan};
use crate::failure::Failure;
use crate::resources::SettingValue;

/// What components need from around them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The store of the system; a sidecar has none.
    pub(crate) store: Option<&'a StorePlan>,
    /// Where the system keeps its data.
    pub(crate) data_dir: &'a Path,
    /// The namespace; empty when there is none.
    pub(crate) namespace: &'a str,
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
    State(StateComponent),
}

/// What removes what has expired.
#[derive(Debug)]
enum Sweeper {
    Locks(mainstay_lock::stored::Sweeper),
    State(mainstay_state::stored::Sweeper),
}

impl Opened {
    /// Opens the store and every component on it.
    pub(crate) async fn open(planned: &[Planned], around: Surroundings<'_>) -> Result<Self, Failure> {
        let store = match around.store {
            Some(plan) => Some(plan.open(around.data_dir).await?),
            None => None,
        };
        let mut opened = Self {
            components: Vec::new(),
            sweepers: Vec::new(),
            namespace: around.namespace.to_owned(),
            store,
        };
        for one in planned {
            match opened.open_one(one) {
                Ok(component) => opened.components.push((one.clone(), component)),
                Err(reason) if one.ignore_errors => {
                    tracing::warn!(
                        "the component `{}` ({}) is not there: {reason}",
                        one.name,
                        one.kind.name()
                    );
                }
                Err(reason) => {
                    let message = format!(
                        "the component `{}` ({}) cannot be opened: {reason}",
                        one.name,
                        one.kind.name()
                    );
                    return Err(Failure::refused(message));
                }
            }
        }
        Ok(opened)
    }

    fn open_one(&mut self, one: &Planned) -> Result<Component, String> {
        let about = About {
            kind: one.kind.name().to_owned(),
            version: one.version.clone(),
        };
        let store = self.store.as_ref();
        Ok(match &one.plan {
            Plan::Configuration => {
                let store = store.ok_or("there is no store")?;
                let stored = mainstay_configuration::Stored::new(Arc::clone(store), &one.name);
                let store = Arc::new(stored.map_err(|error| error.to_string())?);
                Component::Configuration(ConfigurationComponent { about, store })
            }
            Plan::Locks(plan) => {
                let (store, sweeper) = plan.open(&one.name, store)?;
                self.sweepers.extend(sweeper.map(Sweeper::Locks));
                let prefix = plan.prefix.clone();
                Component::Locks(LockComponent { about, store, prefix })
            }
            Plan::State(plan) => {
                let (store, sweeper) = plan.open(&one.name, store, &resolve)?;
                self.sweepers.extend(sweeper.map(Sweeper::State));
                Component::State(StateComponent {
                    about,
                    store,
                    prefix: plan.prefix.clone(),
                    namespace: self.namespace.clone(),
                })
            }
        })
    }

    /// What an app may use.
    pub(crate) fn blocks(&self, app: &str) -> Arc<Blocks> {
        let mut blocks = Blocks::default();
        for (planned, component) in self.components.iter().filter(|(planned, _)| planned.is_for(app)) {
            let name = planned.name.clone();
            match component {
                Component::Configuration(one) => drop(blocks.configuration.insert(name, one.clone())),
                Component::Locks(one) => drop(blocks.locks.insert(name, one.clone())),
                Component::State(one) => drop(blocks.state.insert(name, one.clone())),
            }
        }
        Arc::new(blocks)
    }

    /// Ends what goes on in the background, once nobody uses the components any more.
    pub(crate) async fn close(self) {
        for sweeper in self.sweepers {
            match sweeper {
                Sweeper::Locks(sweeper) => sweeper.stop().await,
                Sweeper::State(sweeper) => sweeper.stop().await,
            }
        }
    }
}

fn resolve(value: &SettingValue) -> Result<String, String> {
    match value {
        SettingValue::Text(text) => Ok(text.clone()),
        SettingValue::Secret { store, .. } => Err(format!("there is no secret store `{store}`")),
    }
}
