//! `Component`: a building block on an engine, with a name and settings.

use std::time::Duration;

use super::file::{self, MetadataItem};
use super::value::{SettingValue, Sources, Written};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::Document;

/// How long a component may take to start when its file does not say: Dapr's default.
pub(crate) const INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A component as its file declares it.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    /// Its name, which apps use.
    pub(crate) name: String,
    /// Its type, `state.redis`.
    pub(crate) kind: String,
    /// The version of the type, `v1`.
    pub(crate) version: String,
    /// Its settings, in the order of the file.
    pub(crate) settings: Vec<Setting>,
    /// Apps that may use it; all when empty.
    pub(crate) scopes: Vec<String>,
    /// Whether the system starts without it when it cannot be started.
    pub(crate) ignore_errors: bool,
    /// How long it may take to start.
    pub(crate) init_timeout: Duration,
    /// Where its type is written.
    pub(crate) place: Place,
}

/// One setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: SettingValue,
    pub(crate) place: Place,
}

impl Component {
    pub(super) fn read(
        file: file::Component,
        document: &Document,
        environment: &dyn Fn(&str) -> Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let name = file.metadata.name;
        if name.is_empty() {
            let place = document.find(&["metadata", "name"]);
            let message = "a component needs a name, by which apps use it";
            diagnostics.push(Diagnostic::error(Code::WRONG_FORM, place, message));
            return None;
        }
        let secret_store = file.auth.and_then(|auth| auth.secret_store);
        let sources = Sources {
            environment,
            secret_store: secret_store.as_deref(),
        };
        let mut settings = Vec::new();
        for (index, item) in file.spec.metadata.into_iter().enumerate() {
            let place = document.find(&["spec", "metadata", &index.to_string()]);
            match read_setting(item, place, sources) {
                Ok(setting) => settings.push(setting),
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
        }
        Some(Self {
            name,
            kind: file.spec.kind,
            version: file.spec.version.unwrap_or_else(|| "v1".to_owned()),
            settings,
            scopes: file.scopes,
            ignore_errors: file.spec.ignore_errors,
            init_timeout: file.spec.init_timeout.map_or(INIT_TIMEOUT, |time| time.0),
            place: document.find(&["spec", "type"]),
        })
    }
}

fn read_setting(item: MetadataItem, place: Place, sources: Sources<'_>) -> Result<Setting, Box<Diagnostic>> {
    let name = item.name;
    let written = Written {
        value: item.value,
        env_ref: item.env_ref,
        secret_key_ref: item.secret_key_ref,
    };
    match written.read(&name, sources) {
        Ok(value) => Ok(Setting {
            name,
            value: value.unwrap_or_else(|| SettingValue::Text(String::new())),
            place,
        }),
        Err((code, message, help)) => Err(Box::new(Diagnostic::error(code, place, message).help(help))),
    }
}
