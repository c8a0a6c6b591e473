//! Where settings stand in the store, and what their bytes are.
//!
//! ```text
//! configuration/<component>/v/<key>                               format (1) │ content as JSON
//! configuration/<component>/h/<key> NUL <version, position>       format (1) │ a change as JSON, newest last
//! ```
//!
//! The history is a log of the store, which completes its keys.

use bytes::{BufMut, Bytes, BytesMut};
use mainstay_store::{AppendPrefix, Key, KeyRange, Stored, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::Content;
use crate::error::ConfigurationError;
use crate::limits::MAX_NAME_BYTES;
use crate::port::Item;

const FORMAT: u8 = 1;

/// A component whose name cannot be part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a configuration store: 1 to {MAX_NAME_BYTES} bytes without `/`")]
pub struct InvalidName(String);

/// The keys of one component.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    records: Bytes,
    histories: Bytes,
}

impl Layout {
    pub(super) fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('/') {
            return Err(InvalidName(name.to_owned()));
        }
        Ok(Self {
            records: format!("configuration/{name}/v/").into(),
            histories: format!("configuration/{name}/h/").into(),
        })
    }

    pub(super) fn records(&self) -> KeyRange {
        KeyRange::prefix(self.records.clone())
    }

    pub(super) fn record(&self, key: &str) -> Result<Key, ConfigurationError> {
        let mut bytes = BytesMut::with_capacity(self.records.len() + key.len());
        bytes.put_slice(&self.records);
        bytes.put_slice(key.as_bytes());
        Key::new(bytes).map_err(|_| invalid(key))
    }

    pub(super) fn parse_record(&self, record: &Key) -> Option<String> {
        let key = record.as_ref().strip_prefix(self.records.as_ref())?;
        String::from_utf8(key.to_vec()).ok()
    }

    /// No key contains NUL, so the history of one is not part of another's.
    pub(super) fn history(&self, key: &str) -> Result<AppendPrefix, ConfigurationError> {
        let mut bytes = BytesMut::with_capacity(self.histories.len() + key.len() + 1);
        bytes.put_slice(&self.histories);
        bytes.put_slice(key.as_bytes());
        bytes.put_u8(0);
        AppendPrefix::new(bytes).map_err(|_| invalid(key))
    }
}

fn invalid(key: &str) -> ConfigurationError {
    ConfigurationError::InvalidKey(key.chars().take(64).collect())
}

pub(super) fn item(key: &str, stored: &Stored) -> Result<Item, ConfigurationError> {
    let Content { value, metadata } = decode(key, &stored.value)?;
    Ok(Item {
        value,
        version: stored.version.to_string(),
        metadata,
    })
}

pub(super) fn encode(key: &str, content: &impl Serialize) -> Result<Value, ConfigurationError> {
    let unreadable = || ConfigurationError::Unreadable(key.to_owned());
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, content).map_err(|_| unreadable())?;
    // Sizes were checked with the change; the store has the last word.
    Value::new(bytes).map_err(|_| unreadable())
}

pub(super) fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, ConfigurationError> {
    let content = match value.as_ref().split_first() {
        Some((&FORMAT, content)) => serde_json::from_slice(content).ok(),
        _ => None,
    };
    content.ok_or_else(|| ConfigurationError::Unreadable(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_KEY_BYTES, MAX_METADATA_BYTES, MAX_VALUE_BYTES};

    #[test]
    fn the_largest_of_everything_fits() {
        let layout = Layout::new(&"n".repeat(MAX_NAME_BYTES)).unwrap();
        let key = "k".repeat(MAX_KEY_BYTES);
        assert!(layout.record(&key).is_ok());
        assert!(layout.history(&key).is_ok());
        // Six bytes for one is the most that JSON makes of text.
        let content = Content {
            value: "\u{1}".repeat(MAX_VALUE_BYTES),
            metadata: [("m".to_owned(), "\u{1}".repeat(MAX_METADATA_BYTES - 1))].into(),
        };
        assert!(encode("k", &(&content, &content)).is_ok());
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        for bytes in ["", "{}", "\u{2}{}", "\u{1}{", "\u{1}[]"] {
            let read = decode::<Content>("k", &Value::new(bytes).unwrap());
            assert_eq!(
                read,
                Err(ConfigurationError::Unreadable("k".to_owned())),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn names_stay_in_their_place() {
        for wrong in ["", "a/b", &"n".repeat(MAX_NAME_BYTES + 1)] {
            assert!(Layout::new(wrong).is_err(), "{wrong}");
        }
    }
}
