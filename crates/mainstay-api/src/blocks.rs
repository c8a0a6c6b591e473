//! The building blocks that an app may use, by the names of their components.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_cache::state::StateCache;
use mainstay_configuration::ConfigurationStore;
use mainstay_lock::LockStore;
use mainstay_secrets::{Scopes, SecretStore};
use mainstay_state::{InvalidKey, KeyPrefix, Scope, StateStore};

use crate::Meter;

/// The capabilities of components that have none to tell of.
const NOTHING_SPECIAL: &[&str] = &[];

/// The capabilities of a secret component whose secrets have several values.
const MULTIPLE_VALUES: &[&str] = &["MULTIPLE_KEY_VALUES_PER_SECRET"];

/// The components of one app.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// State components.
    pub state: BTreeMap<String, StateComponent>,
    /// Lock components.
    pub locks: BTreeMap<String, LockComponent>,
    /// Configuration components.
    pub configuration: BTreeMap<String, ConfigurationComponent>,
    /// Secret components.
    pub secrets: BTreeMap<String, SecretComponent>,
    /// Which secrets of them the app may read.
    pub secret_scopes: Scopes,
}

/// A component as the metadata API lists it.
#[derive(Clone, Debug)]
pub struct About {
    /// Its type, `state.mainstay`.
    pub kind: String,
    /// Its version, `v1`.
    pub version: String,
    /// Where its operations are counted: see [`Metrics::meter`](crate::Metrics::meter).
    pub meter: Meter,
}

/// A state component.
#[derive(Clone, Debug)]
pub struct StateComponent {
    /// What it is.
    pub about: About,
    /// What it keeps.
    pub store: Arc<dyn StateStore>,
    /// The cache that is a part of it, where one was declared.
    pub cache: Option<StateCache>,
    /// What stands before the keys of its users.
    pub prefix: KeyPrefix,
    /// The namespace of the system; empty when there is none.
    pub namespace: String,
}

/// A lock component.
#[derive(Clone, Debug)]
pub struct LockComponent {
    /// What it is.
    pub about: About,
    /// What it keeps.
    pub store: Arc<dyn LockStore>,
    /// What stands before the resources of its users.
    pub prefix: mainstay_lock::KeyPrefix,
}

/// A configuration component.
#[derive(Clone, Debug)]
pub struct ConfigurationComponent {
    /// What it is.
    pub about: About,
    /// What it keeps.
    pub store: Arc<dyn ConfigurationStore>,
    /// The same where it can be changed here: `configuration.mainstay`.
    pub stored: Option<mainstay_configuration::Stored>,
}

/// A secret component.
#[derive(Clone, Debug)]
pub struct SecretComponent {
    /// What it is.
    pub about: About,
    /// What it keeps.
    pub store: Arc<dyn SecretStore>,
    /// The same where it can be changed here: `secretstores.mainstay`.
    pub stored: Option<mainstay_secrets::Stored>,
}

/// A state component as one app sees it: with its own keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppState<'a> {
    pub(crate) name: &'a str,
    pub(crate) component: &'a StateComponent,
    pub(crate) blocks: &'a Blocks,
    pub(crate) app: &'a str,
}

impl Blocks {
    /// The state component called `name` as `app` sees it.
    pub(crate) fn app_state<'a>(&'a self, name: &'a str, app: &'a str) -> Option<AppState<'a>> {
        let component = self.state.get(name)?;
        Some(AppState {
            name,
            component,
            blocks: self,
            app,
        })
    }

    /// What the metadata API lists: name, what it is, what it can do.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, &About, &'static [&'static str])> {
        let state = self.state.iter().map(|(name, component)| {
            let capabilities = component.store.features().capabilities();
            (name.as_str(), &component.about, capabilities)
        });
        let locks = self
            .locks
            .iter()
            .map(|(name, component)| (name, &component.about));
        let configuration = self.configuration.iter();
        let configuration = configuration.map(|(name, component)| (name, &component.about));
        let others = locks.chain(configuration);
        let others = others.map(|(name, about)| (name.as_str(), about, NOTHING_SPECIAL));
        let secrets = self.secrets.iter().map(|(name, component)| {
            let capabilities = if component.store.features().multiple_values {
                MULTIPLE_VALUES
            } else {
                NOTHING_SPECIAL
            };
            (name.as_str(), &component.about, capabilities)
        });
        state.chain(others).chain(secrets)
    }
}

impl<'a> AppState<'a> {
    /// The key under which the component keeps what the app calls `key`.
    pub(crate) fn full_key(&self, key: &str) -> Result<String, InvalidKey> {
        self.component.prefix.full_key(self.scope(), key)
    }

    /// What stands before all keys of the app.
    pub(crate) fn prefix(&self) -> String {
        self.component.prefix.text(self.scope())
    }

    /// What the app calls a key of the component.
    pub(crate) fn user_key<'k>(&self, full: &'k str) -> &'k str {
        self.component.prefix.user_key(self.scope(), full).unwrap_or(full)
    }

    fn scope(&self) -> Scope<'a> {
        Scope {
            app: self.app,
            component: self.name,
            namespace: &self.component.namespace,
        }
    }
}
