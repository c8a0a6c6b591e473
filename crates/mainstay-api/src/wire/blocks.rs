//! The JSON of what components hold: state, settings, secrets.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// `GET /api/components`: what is open, in the order of the names within each building block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Components {
    /// The components.
    pub components: Vec<Component>,
}

/// A component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its type, `state.mainstay`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the type, `v1`.
    pub version: String,
}

/// `GET /api/state/COMPONENT/keys/KEY?app=APP`: a key with its value. Keys are as they are kept, prefix included; with an app
/// they are as that app calls them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// The key.
    pub key: String,
    /// Its value.
    #[serde(flatten)]
    pub value: StateValue,
    /// Names the value.
    pub etag: String,
    /// What the bytes are, when it was said.
    pub content_type: Option<String>,
    /// When it expires.
    pub expires_unix_ms: Option<u64>,
}

/// The bytes of a value: `"value": "text"`, or `"value_base64": "…"` where they are not UTF-8.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateValue {
    /// Text.
    Value(String),
    /// Other bytes, in standard base64 with padding.
    ValueBase64(String),
}

/// One line of `GET /api/state/COMPONENT/keys?prefix=&after=&limit=&app=`: a key without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateKey {
    /// The key.
    pub key: String,
    /// Names its value.
    pub etag: String,
    /// How many bytes of value are kept: of an encrypted component those of the sealed value.
    pub value_bytes: u64,
    /// What the bytes are, when it was said.
    pub content_type: Option<String>,
    /// When it expires.
    pub expires_unix_ms: Option<u64>,
}

/// One line of `GET /api/state/COMPONENT/changes?prefix=&app=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The key.
    pub key: String,
    /// What it holds now; absent when it was deleted or expired.
    pub after: Option<StateItem>,
}

/// `GET /api/config/COMPONENT/keys/KEY`, and one line of `…/keys`: a setting.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigItem {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Which value that is, in the component's own form; may be empty.
    pub version: String,
    /// What is said about it.
    pub metadata: BTreeMap<String, String>,
}

/// One line of `GET /api/config/COMPONENT/changes?key=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What it holds now; absent when it was deleted.
    pub after: Option<ConfigItem>,
}

/// The answer to a change of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// The key.
    pub key: String,
    /// The version of the change; absent when it was so already, which is no change.
    pub version: Option<String>,
}

/// One line of `GET /api/config/COMPONENT/keys/KEY/history`, the last change first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// The change, and so the version of the item that it left.
    pub version: String,
    /// When it was made, by the store's clock.
    pub time_unix_ms: u64,
    /// Who made it.
    pub by: String,
    /// The change that it took back, if it did.
    pub undoes: Option<String>,
    /// What the key held before; absent when it did not exist.
    pub before: Option<ConfigContent>,
    /// What it held afterwards; absent when it was deleted.
    pub after: Option<ConfigContent>,
}

/// What a setting held.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigContent {
    /// The value.
    pub value: String,
    /// What was said about it.
    pub metadata: BTreeMap<String, String>,
}

/// One line of `GET /api/secrets/COMPONENT/names`: a secret without its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretName {
    /// Its name.
    pub name: String,
    /// The change that gave it its values, where the component counts them.
    pub version: Option<String>,
    /// The identity of the key that it is sealed with, where it is sealed.
    pub key: Option<String>,
}

/// `GET /api/secrets/COMPONENT/names/NAME?reveal=true`: a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretItem {
    /// Its name.
    pub name: String,
    /// The names of its values. One that has a single value has it under its own name.
    pub parts: Vec<String>,
    /// Its values, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<String, String>>,
}

/// The answer to a change of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretChanged {
    /// Its name.
    pub name: String,
    /// The change.
    pub version: String,
}

/// The answer to `POST /api/secrets/COMPONENT/rewrap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsRewrapped {
    /// Secrets that are under the first key now and were not before.
    pub done: u64,
    /// Secrets that others changed meanwhile.
    pub changed: u64,
}

/// Values are the users', who may have put secrets into them.
impl fmt::Debug for StateValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Value(text) | Self::ValueBase64(text)) = self;
        write!(formatter, "StateValue({} bytes)", text.len())
    }
}

/// As for [`StateValue`].
impl fmt::Debug for ConfigItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConfigItem({}, {})", self.key, self.version)
    }
}

/// As for [`StateValue`].
impl fmt::Debug for ConfigContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConfigContent({} bytes)", self.value.len())
    }
}

/// Names only.
impl fmt::Debug for SecretItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretItem({}, {:?})", self.name, self.parts)
    }
}
