//! A value in a resource file: itself, a variable that has it, or a secret that has it.

use std::fmt;

use super::file::SecretKeyRef;
use crate::diagnostic::Code;
use crate::document::form::Text;

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

/// What is wrong with a value, and the way out.
pub(super) type Problem = (Code, String, &'static str);

/// A value as it is written: one of these at most.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) value: Option<Text>,
    pub(super) env_ref: Option<String>,
    pub(super) secret_key_ref: Option<SecretKeyRef>,
}

/// Where values come from that are not written.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// The store of the resource's secrets.
    pub(super) secret_store: Option<&'a str>,
}

impl Written {
    /// The value of what is called `name`; `None` when nothing is written.
    pub(super) fn read(self, name: &str, sources: Sources<'_>) -> Result<Option<SettingValue>, Problem> {
        Ok(Some(match (self.value, self.env_ref, self.secret_key_ref) {
            (None, None, None) => return Ok(None),
            (Some(value), None, None) => SettingValue::Text(value.0),
            (None, Some(variable), None) => variable_of(name, &variable, sources)?,
            (None, None, Some(secret)) => secret_of(name, secret, sources)?,
            _ => {
                let message = format!("`{name}` has more than one value");
                let help = "give exactly one of `value`, `envRef` and `secretKeyRef`";
                return Err((Code::CONTRADICTION, message, help));
            }
        }))
    }
}

fn variable_of(name: &str, variable: &str, sources: Sources<'_>) -> Result<SettingValue, Problem> {
    if variable == "APP_API_TOKEN" || variable.starts_with("DAPR_") {
        let message = format!("the variable `{variable}` of `{name}` is not for resources");
        return Err((Code::CONTRADICTION, message, "choose another variable"));
    }
    let value = (sources.environment)(variable).ok_or_else(|| {
        let message = format!("the variable `{variable}` of `{name}` is not set");
        let help = "set it in the environment of Mainstay";
        (Code::UNDEFINED_VARIABLE, message, help)
    })?;
    Ok(SettingValue::Text(value))
}

fn secret_of(name: &str, secret: SecretKeyRef, sources: Sources<'_>) -> Result<SettingValue, Problem> {
    let store = sources.secret_store.ok_or_else(|| {
        let message = format!("`{name}` names a secret, and the resource no secret store");
        (Code::MISSING_KEY, message, "add `auth: { secretStore: NAME }`")
    })?;
    Ok(SettingValue::Secret {
        store: store.to_owned(),
        // As in Dapr, a secret of one part needs no key.
        key: secret.key.unwrap_or_else(|| secret.name.clone()),
        name: secret.name,
    })
}
