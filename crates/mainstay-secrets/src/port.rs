//! The port: what every secret component promises, and what is asked of it.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_store::Reply;

use crate::error::SecretsError;
use crate::limits::MAX_SECRET_NAME_BYTES;
use crate::text::SecretText;

/// A secret component.
///
/// # Rules
///
/// 1. **Named.** A read MUST give the secret of that name or [`SecretsError::NotFound`], and never another one.
/// 2. **Whole.** A bulk read MUST give every secret that a read by its name gives, with the same values.
/// 3. **Silent.** No value MUST ever be part of an error, a message or a `Debug` output.
///
/// # Cancel safety
///
/// Dropping the future of a read has no effect.
pub trait SecretStore: Send + Sync + fmt::Debug + 'static {
    /// What it can do, and how it differs.
    fn features(&self) -> Features;

    /// Reads one secret. Cancel safe.
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, SecretsError>>;

    /// Reads all secrets, by their names. Cancel safe.
    fn bulk(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, SecretsError>>;
}

/// How a component differs from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Whether a secret may have more values than one: Dapr's feature `MULTIPLE_KEY_VALUES_PER_SECRET`.
    pub multiple_values: bool,
    /// Whether Dapr's component of this type answers with one empty value instead of an error when a secret does not exist.
    pub missing_is_empty: bool,
}

/// A secret: values by their names. One that has a single value has it under its own name.
#[derive(Clone, Default)]
pub struct Secret {
    values: BTreeMap<String, SecretText>,
}

impl Secret {
    /// The secret `name` with a single value.
    pub fn single(name: impl Into<String>, value: SecretText) -> Self {
        Self {
            values: BTreeMap::from([(name.into(), value)]),
        }
    }

    /// The value under this name.
    pub fn value(&self, name: &str) -> Option<&SecretText> {
        self.values.get(name)
    }

    /// Gives it one more value, or another one under this name.
    pub(crate) fn insert(&mut self, name: String, value: SecretText) {
        self.values.insert(name, value);
    }

    /// All of them, in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&str, &SecretText)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl FromIterator<(String, SecretText)> for Secret {
    fn from_iter<I: IntoIterator<Item = (String, SecretText)>>(values: I) -> Self {
        Self {
            values: values.into_iter().collect(),
        }
    }
}

/// Names only.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

/// Whether this can be the name of a secret. Every component asks this first.
pub(crate) fn check_name(name: &str) -> Result<(), SecretsError> {
    match name.len() {
        1..=MAX_SECRET_NAME_BYTES => Ok(()),
        length => Err(SecretsError::InvalidName(length)),
    }
}
