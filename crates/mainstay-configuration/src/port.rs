//! The port: what every configuration component promises, and what is asked of it.

use std::collections::BTreeMap;
use std::fmt;

use mainstay_store::Reply;

use crate::error::ConfigurationError;
use crate::limits::{MAX_KEY_BYTES, MAX_KEYS};
use crate::subscription::Subscription;

/// A configuration component.
///
/// # Rules
///
/// 1. **Named.** A read that names keys MUST give those of them that exist and nothing else; one that names none MUST give
///    all.
/// 2. **Told.** A subscription MUST give every change of its keys, deletions included, that was made after it was answered,
///    or a later one of the same key. It MUST give the latest one once changes stop.
/// 3. **Bounded.** However many changes are made, a subscription MUST NOT need more room than its keys' items take.
/// 4. **Fresh.** A read that begins after a change was answered MUST see it.
///
/// # Cancel safety
///
/// Dropping the future of a read or of a subscription that is being made has no effect.
pub trait ConfigurationStore: Send + Sync + fmt::Debug + 'static {
    /// Reads the items of these keys; of all when there are none. Cancel safe.
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<Items, ConfigurationError>>;

    /// Tells of changes of these keys; of all when there are none. `metadata` is what the client sent with the request.
    /// Cancel safe.
    fn subscribe<'a>(
        &'a self,
        keys: Vec<String>,
        metadata: &'a Metadata,
    ) -> Reply<'a, Result<Subscription, ConfigurationError>>;
}

/// Items by their keys.
pub type Items = BTreeMap<String, Item>;

/// Names and values beside an item or a request.
pub type Metadata = BTreeMap<String, String>;

/// A setting.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: String,
    /// Which value that is, in the component's own form; may be empty.
    pub version: String,
    /// What is said about it.
    pub metadata: Metadata,
}

/// Whether any component may be asked for these keys. Every component asks this first.
pub(crate) fn check_keys(keys: &[String]) -> Result<(), ConfigurationError> {
    if keys.len() > MAX_KEYS {
        return Err(ConfigurationError::TooManyKeys(keys.len()));
    }
    keys.iter().try_for_each(|key| check_key(key))
}

/// Whether this can be a key.
pub(crate) fn check_key(key: &str) -> Result<(), ConfigurationError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains('\0') {
        return Err(ConfigurationError::InvalidKey(key.chars().take(64).collect()));
    }
    Ok(())
}

/// Settings may be secrets, though they should not be.
impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Item")
            .field("value_bytes", &self.value.len())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
