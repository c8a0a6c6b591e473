//! `secretstores.local.env`: the variables of this process.

use std::collections::BTreeMap;
use std::ffi::OsString;

use mainstay_store::Reply;

use crate::error::SecretsError;
use crate::port::{Features, Secret, SecretStore, check_name};
use crate::text::SecretText;

/// Beginnings of the names of variables that hold what belongs to the runtime: its tokens and its keys.
const FORBIDDEN_PREFIXES: [&str; 2] = ["DAPR_", "MAINSTAY_"];

/// The token by which apps know that a call comes from the runtime.
const FORBIDDEN_NAMES: [&str; 1] = ["APP_API_TOKEN"];

/// The component. It sees the variables as they were when it was made; those of a process do not change.
#[derive(Debug)]
pub struct Environment {
    prefix: String,
    /// By their names without the prefix.
    variables: BTreeMap<String, SecretText>,
}

impl Environment {
    /// The variables whose names begin with `prefix` (all when it is empty), without it: the metadata `prefix`.
    pub fn of_process(prefix: &str) -> Self {
        Self::new(prefix, std::env::vars_os())
    }

    /// The same of these variables. Those that are not Unicode, or may not be read, are left out.
    pub fn new(prefix: &str, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let visible = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let short = name.strip_prefix(prefix)?;
            if short.is_empty() || forbidden(&name) {
                return None;
            }
            Some((short.to_owned(), SecretText::new(value.into_string().ok()?)))
        });
        Self {
            prefix: prefix.to_owned(),
            variables: visible.collect(),
        }
    }

    fn find(&self, name: &str) -> Result<Secret, SecretsError> {
        check_name(name)?;
        if forbidden(&format!("{}{name}", self.prefix)) {
            return Err(SecretsError::Forbidden(name.to_owned()));
        }
        let value = self.variables.get(name);
        let value = value.ok_or_else(|| SecretsError::NotFound(name.to_owned()))?;
        Ok(Secret::single(name, value.clone()))
    }

    fn all(&self) -> BTreeMap<String, Secret> {
        let secrets = self.variables.iter();
        let secrets =
            secrets.map(|(name, value)| (name.clone(), Secret::single(name.clone(), value.clone())));
        secrets.collect()
    }
}

impl SecretStore for Environment {
    fn features(&self) -> Features {
        Features {
            multiple_values: false,
            missing_is_empty: true,
        }
    }

    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, SecretsError>> {
        Reply::ready(self.find(name))
    }

    fn bulk(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, SecretsError>> {
        Reply::ready(Ok(self.all()))
    }
}

/// Whatever the case of its letters.
fn forbidden(name: &str) -> bool {
    let name = name.to_uppercase();
    FORBIDDEN_NAMES.contains(&name.as_str())
        || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
