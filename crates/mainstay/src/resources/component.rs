//! `Component`: a building block on an engine, with a name and settings.

use std::fmt;
use std::time::Duration;

use super::file::{self, MetadataItem};
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

/// The value of a setting. It may be a secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SettingValue {
    /// This text.
    Text(String),
    /// What a secret store has.
    Secret {
        /// The store; Dapr's default is the one of Kubernetes, which does not exist here.
        store: String,
        /// The secret.
        name: String,
        /// Its part.
        key: String,
    },
}

impl fmt::Debug for SettingValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => formatter.write_str("Text(…)"),
            Self::Secret { store, name, .. } => write!(formatter, "Secret({store}/{name})"),
        }
    }
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
        let mut settings = Vec::new();
        for (index, item) in file.spec.metadata.into_iter().enumerate() {
            let place = document.find(&["spec", "metadata", &index.to_string()]);
            match read_setting(item, place, secret_store.as_deref(), environment) {
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

fn read_setting(
    item: MetadataItem,
    place: Place,
    secret_store: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Setting, Box<Diagnostic>> {
    let name = item.name;
    let wrong = |code, message: String, help: &str| {
        Box::new(Diagnostic::error(code, place.clone(), message).help(help))
    };
    let value = match (item.value, item.env_ref, item.secret_key_ref) {
        (Some(value), None, None) => SettingValue::Text(value.0),
        (None, Some(variable), None) => {
            if variable == "APP_API_TOKEN" || variable.starts_with("DAPR_") {
                let message = format!("the variable `{variable}` of `{name}` is not for components");
                return Err(wrong(Code::CONTRADICTION, message, "choose another variable"));
            }
            let value = environment(&variable).ok_or_else(|| {
                let message = format!("the variable `{variable}` of `{name}` is not set");
                let help = "set it in the environment of Mainstay";
                wrong(Code::UNDEFINED_VARIABLE, message, help)
            })?;
            SettingValue::Text(value)
        }
        (None, None, Some(secret)) => SettingValue::Secret {
            store: secret_store
                .ok_or_else(|| {
                    let message = format!("`{name}` names a secret, and the component no secret store");
                    wrong(Code::MISSING_KEY, message, "add `auth: { secretStore: NAME }`")
                })?
                .to_owned(),
            // As in Dapr, a secret of one part needs no key.
            key: secret.key.unwrap_or_else(|| secret.name.clone()),
            name: secret.name,
        },
        (None, None, None) => SettingValue::Text(String::new()),
        _ => {
            let message = format!("`{name}` has more than one value");
            let help = "give exactly one of `value`, `envRef` and `secretKeyRef`";
            return Err(wrong(Code::CONTRADICTION, message, help));
        }
    };
    Ok(Setting { name, value, place })
}
