//! Components: building blocks on engines, by the names that apps use. Read from component files or there by default;
//! opened when the system starts.

mod configuration;
mod engine;
mod kinds;
mod locks;
mod opened;
mod postgres;
mod redis;
mod secrets;
mod settings;
mod state;
mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::resources;

use self::configuration::ConfigurationPlan;
use self::kinds::Kind;
use self::locks::LockPlan;
pub(crate) use self::opened::{Opened, Surroundings};
pub(crate) use self::secrets::KEY_FILE as SECRETS_KEY_FILE;
use self::secrets::SecretPlan;
use self::settings::Settings;
use self::state::StatePlan;
pub(crate) use self::store::{EMBEDDED, StorePlan, spells_out_password};

/// Where components live: what is there by default, and whether there is a store to put things into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// A system with a store of its own.
    System,
    /// A sidecar, which has what its files declare and nothing else.
    Sidecar,
}

/// A component that can be opened: its file has no mistakes.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    kind: Kind,
    /// The version of the type.
    version: String,
    /// Apps that may use it; all when empty.
    scopes: Vec<String>,
    /// Whether the system starts without it.
    ignore_errors: bool,
    /// How long it may take to start.
    init_timeout: Duration,
    /// What it is.
    plan: Plan,
}

/// What a component is, by its building block.
#[derive(Clone, Debug)]
enum Plan {
    Configuration(ConfigurationPlan),
    Locks(LockPlan),
    Secrets(SecretPlan),
    State(StatePlan),
}

/// Reads the component files; mistakes go to `diagnostics`, and what they concern is left out. Every building block that
/// no file declares gets its default in a system.
pub(crate) fn plan(
    declared: Vec<resources::Component>,
    home: Home,
    diagnostics: &mut Diagnostics,
) -> Vec<Planned> {
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    let mut planned = Vec::new();
    for component in declared {
        if let Some(first) = seen.get(&component.name) {
            let message = format!(
                "there is a component `{}` at {} already",
                component.name,
                first.short()
            );
            let help = "apps use a component by its name: give each its own";
            diagnostics.push(Diagnostic::error(Code::NAME_TAKEN, component.place, message).help(help));
            continue;
        }
        seen.insert(component.name.clone(), component.place.clone());
        planned.extend(plan_one(component, home, diagnostics));
    }
    if home == Home::System {
        for (name, kind) in kinds::DEFAULTS {
            let declared = planned.iter().any(|one| one.kind.is_like(kind));
            if !declared && !seen.contains_key(name) {
                planned.push(Planned::by_default(name, kind));
            }
        }
    }
    planned
}

fn plan_one(component: resources::Component, home: Home, diagnostics: &mut Diagnostics) -> Option<Planned> {
    let kind = Kind::of(&component, home, diagnostics)?;
    let mut settings = Settings::new(&component, diagnostics);
    let plan = match kind {
        Kind::Configuration(engine) => Plan::Configuration(ConfigurationPlan::read(engine, &mut settings)?),
        Kind::Locks(engine) => Plan::Locks(LockPlan::read(engine, &mut settings)?),
        Kind::Secrets(engine) => Plan::Secrets(SecretPlan::read(engine, &mut settings)?),
        Kind::State(engine) => Plan::State(StatePlan::read(engine, &mut settings)?),
    };
    settings.finish();
    Some(Planned {
        kind,
        name: component.name,
        version: component.version,
        scopes: component.scopes,
        ignore_errors: component.ignore_errors,
        init_timeout: component.init_timeout,
        plan,
    })
}

/// The namespace that components may put before their keys: Dapr's variable.
pub(crate) fn namespace() -> String {
    std::env::var("NAMESPACE").unwrap_or_default()
}

impl Planned {
    fn by_default(name: &str, kind: Kind) -> Self {
        // All of them lie on the store.
        let plan = match kind {
            Kind::Configuration(_) => Plan::Configuration(ConfigurationPlan::Stored),
            Kind::Locks(_) => Plan::Locks(LockPlan::stored()),
            Kind::Secrets(_) => Plan::Secrets(SecretPlan::stored()),
            Kind::State(_) => Plan::State(StatePlan::stored()),
        };
        Self {
            name: name.to_owned(),
            kind,
            version: "v1".to_owned(),
            scopes: Vec::new(),
            ignore_errors: false,
            init_timeout: resources::INIT_TIMEOUT,
            plan,
        }
    }

    /// Whether an app may use it.
    fn is_for(&self, app: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == app)
    }
}

#[cfg(test)]
mod tests;
