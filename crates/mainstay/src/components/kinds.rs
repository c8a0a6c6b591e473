//! The types of components that exist here.

use super::Home;
use super::state::Engine;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::document::did_you_mean;
use crate::resources::Component;

/// State on the system's store.
pub(super) const STATE_MAINSTAY: &str = "state.mainstay";

/// Every type, by its name.
const KINDS: [(&str, Kind); 2] = [
    ("state.in-memory", Kind::State(Engine::InMemory)),
    (STATE_MAINSTAY, Kind::State(Engine::Stored)),
];

/// What Dapr's other types begin with.
const OTHER_BLOCKS: [&str; 13] = [
    "bindings.",
    "configuration.",
    "conversation.",
    "crypto.",
    "cryptography.",
    "lock.",
    "mcp.",
    "middleware.",
    "nameresolution.",
    "pubsub.",
    "scheduler.",
    "secretstores.",
    "workflow.",
];

/// A type of component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    State(Engine),
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
        if home == Home::Sidecar && *found == Self::State(Engine::Stored) {
            let message = format!("a sidecar has no store of its own for `{name}`");
            let help = "run the system with `mainstay run`, or choose another type";
            diagnostics.push(Diagnostic::error(Code::UNSUPPORTED, place.clone(), message).help(help));
            return None;
        }
        Some(*found)
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
