//! The types of components that exist here.

use super::Home;
use super::configuration::Engine as Configuration;
use super::locks::Engine as Locks;
use super::secrets::Engine as Secrets;
use super::state::Engine as State;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::document::did_you_mean;
use crate::resources::Component;

/// Every type, by its name.
const KINDS: [(&str, Kind); 15] = [
    (
        "configuration.mainstay",
        Kind::Configuration(Configuration::Stored),
    ),
    (
        "configuration.postgres",
        Kind::Configuration(Configuration::Postgres),
    ),
    (
        "configuration.postgresql",
        Kind::Configuration(Configuration::Postgres),
    ),
    ("configuration.redis", Kind::Configuration(Configuration::Redis)),
    ("lock.in-memory", Kind::Locks(Locks::InMemory)),
    ("lock.mainstay", Kind::Locks(Locks::Stored)),
    ("lock.redis", Kind::Locks(Locks::Redis)),
    ("secretstores.local.env", Kind::Secrets(Secrets::Environment)),
    ("secretstores.local.file", Kind::Secrets(Secrets::File)),
    ("secretstores.mainstay", Kind::Secrets(Secrets::Stored)),
    ("state.in-memory", Kind::State(State::InMemory)),
    ("state.mainstay", Kind::State(State::Stored)),
    // The first is what it is called.
    ("state.postgresql", Kind::State(State::Postgres)),
    ("state.postgres", Kind::State(State::Postgres)),
    ("state.redis", Kind::State(State::Redis)),
];

/// The component of each building block that is there without a file.
pub(super) const DEFAULTS: [(&str, Kind); 4] = [
    ("statestore", Kind::State(State::Stored)),
    ("lockstore", Kind::Locks(Locks::Stored)),
    ("configstore", Kind::Configuration(Configuration::Stored)),
    ("secretstore", Kind::Secrets(Secrets::Stored)),
];

/// What Dapr's other types begin with.
const OTHER_BLOCKS: [&str; 10] = [
    "bindings.",
    "conversation.",
    "crypto.",
    "cryptography.",
    "mcp.",
    "middleware.",
    "nameresolution.",
    "pubsub.",
    "scheduler.",
    "workflow.",
];

/// A type of component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Configuration(Configuration),
    Locks(Locks),
    Secrets(Secrets),
    State(State),
}

impl Kind {
    /// The type of a component; tells what is wrong with it.
    pub(super) fn of(component: &Component, home: Home, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Component {
            name,
            kind,
            version,
            place,
            ..
        } = component;
        let written = kind.to_lowercase();
        let Some((_, found)) = KINDS.iter().find(|(known, _)| *known == written) else {
            diagnostics.push(unknown(component, &written));
            return None;
        };
        if !matches!(version.as_str(), "" | "v1" | "v2") {
            let message = format!("`{kind}` has no version `{version}`");
            let wrong = Diagnostic::error(Code::OUT_OF_RANGE, place.clone(), message);
            diagnostics.push(wrong.help("write v1"));
            return None;
        }
        if home == Home::Sidecar && found.is_stored() {
            let message = format!("a sidecar has no store of its own for `{name}`");
            let help = "run the system with `mainstay run`, or choose another type";
            diagnostics.push(Diagnostic::error(Code::UNSUPPORTED, place.clone(), message).help(help));
            return None;
        }
        Some(*found)
    }

    /// Whether it lies on the system's store.
    fn is_stored(self) -> bool {
        matches!(
            self,
            Self::Configuration(Configuration::Stored)
                | Self::Locks(Locks::Stored)
                | Self::Secrets(Secrets::Stored)
                | Self::State(State::Stored)
        )
    }

    /// Whether both are of the same building block.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        let named = KINDS.iter().find(|(_, kind)| *kind == self);
        named.map_or("", |(name, _)| name)
    }
}

/// A type that is another building block's has no effect yet; one of this building block stops the start, as in Dapr.
fn unknown(component: &Component, written: &str) -> Diagnostic {
    let Component {
        name, kind, place, ..
    } = component;
    if OTHER_BLOCKS.iter().any(|block| written.starts_with(block)) {
        let message = format!("the component `{name}` is not used: there is no `{kind}` yet");
        return Diagnostic::error(Code::NOT_USED, place.clone(), message).note();
    }
    let message = format!("there is no component type `{kind}`");
    let help = did_you_mean(written, KINDS.map(|(known, _)| known));
    let diagnostic = Diagnostic::error(Code::UNKNOWN_COMPONENT, place.clone(), message).help(help);
    if component.ignore_errors {
        diagnostic.warning()
    } else {
        diagnostic
    }
}
