//! Components: building blocks on engines, by the names that apps use. Read from component files or there by default;
//! opened when the system starts.

mod caching;
mod configuration;
mod endpoints;
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
use crate::document::did_you_mean;
use crate::manifest::CachePlan;
use crate::resources;

use self::caching::StateCachePlan;
use self::configuration::ConfigurationPlan;
pub(crate) use self::endpoints::Secured;
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
    /// Boxed because it is large.
    State(Box<StatePlan>),
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
        Kind::State(engine) => Plan::State(Box::new(StatePlan::read(engine, &mut settings)?)),
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

/// The names of the secret components.
pub(crate) fn secret_stores(planned: &[Planned]) -> Vec<&str> {
    let stores = planned.iter().filter(|one| matches!(one.plan, Plan::Secrets(_)));
    stores.map(|one| one.name.as_str()).collect()
}

/// What the manifest says of a component, besides its file.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Its name.
    pub(crate) name: String,
    /// The cache before it.
    pub(crate) cache: Option<CachePlan>,
    /// Where it is said.
    pub(crate) place: Place,
}

/// Adds what the manifest says of components to what their files say; mistakes go to `diagnostics`.
pub(crate) fn say(said: Vec<Said>, planned: &mut [Planned], diagnostics: &mut Diagnostics) {
    for Said { name, cache, place } in said {
        let mut error = |code, message: String, help: String| {
            diagnostics.push(Diagnostic::error(code, place.clone(), message).help(help));
        };
        let Some(at) = planned.iter().position(|one| one.name == name) else {
            let names: Vec<&str> = planned.iter().map(|one| one.name.as_str()).collect();
            let message = format!("there is no component `{name}`");
            error(Code::NO_RESOURCE, message, did_you_mean(&name, names));
            continue;
        };
        let (Some(one), Some(cache)) = (planned.get_mut(at), cache) else {
            continue;
        };
        let kind = one.kind.name();
        match &mut one.plan {
            Plan::State(state) if state.cache.is_none() => {
                state.cache = Some(StateCachePlan::declared(cache));
            }
            Plan::State(_) => {
                let message = format!("the cache of `{name}` is declared in its file too");
                error(Code::CONTRADICTION, message, "keep one of the two".to_owned());
            }
            _ => {
                let message = format!("`{name}` cannot have a cache: it is a {kind}");
                let help = "only state stores have one".to_owned();
                error(Code::CONTRADICTION, message, help);
            }
        }
    }
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
            Kind::State(_) => Plan::State(Box::new(StatePlan::stored())),
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
