//! Components that are open, for as long as the system runs.

use std::path::Path;
use std::sync::Arc;

use mainstay_api::{About, Blocks, StateComponent};
use mainstay_state::stored::Sweeper;
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
    State(StateComponent),
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
                        one.kind
                    );
                }
                Err(reason) => {
                    let message = format!(
                        "the component `{}` ({}) cannot be opened: {reason}",
                        one.name, one.kind
                    );
                    return Err(Failure::refused(message));
                }
            }
        }
        Ok(opened)
    }

    fn open_one(&mut self, one: &Planned) -> Result<Component, String> {
        match &one.plan {
            Plan::State(plan) => {
                let state = plan.open(&one.name, self.store.as_ref(), &resolve)?;
                self.sweepers.extend(state.sweeper);
                Ok(Component::State(StateComponent {
                    about: About {
                        kind: one.kind.to_owned(),
                        version: one.version.clone(),
                    },
                    store: state.store,
                    prefix: plan.prefix.clone(),
                    namespace: self.namespace.clone(),
                }))
            }
        }
    }

    /// What an app may use.
    pub(crate) fn blocks(&self, app: &str) -> Arc<Blocks> {
        let mut blocks = Blocks::default();
        for (planned, component) in self.components.iter().filter(|(planned, _)| planned.is_for(app)) {
            match component {
                Component::State(state) => {
                    blocks.state.insert(planned.name.clone(), state.clone());
                }
            }
        }
        Arc::new(blocks)
    }

    /// Ends what goes on in the background, once nobody uses the components any more.
    pub(crate) async fn close(self) {
        for sweeper in self.sweepers {
            sweeper.stop().await;
        }
    }
}

fn resolve(value: &SettingValue) -> Result<String, String> {
    match value {
        SettingValue::Text(text) => Ok(text.clone()),
        SettingValue::Secret { store, .. } => Err(format!("there is no secret store `{store}`")),
    }
}
