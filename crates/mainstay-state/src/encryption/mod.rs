//! Encryption at rest: the values of a component are sealed before it sees them.
//!
//! The layout is Dapr's, so that what either wrote the other can read:
//!
//! ```text
//! base64( nonce, 12 bytes │ AES-GCM ciphertext │ tag, 16 bytes ) "||" name of the key
//! ```
//!
//! The primary key seals. The secondary one only opens what was sealed before the keys were exchanged, until it was
//! written anew. As in Dapr, the key of a value is not sealed with it: whoever can write to the storage can exchange
//! two values, though not change one.

mod key;
mod wrapper;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

pub use self::key::{EncryptionKey, InvalidEncryptionKey};
pub use self::wrapper::Encrypted;
use crate::error::StateError;
use crate::key::SEPARATOR;
use crate::port::{Item, Operation};

/// The keys of a component: its metadata `primaryEncryptionKey` and `secondaryEncryptionKey`.
#[derive(Debug)]
pub struct Encryption {
    primary: EncryptionKey,
    secondary: Option<EncryptionKey>,
}

/// Why a value could not be sealed or opened. What is in it is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The value is in another form than a sealed one, such as one from before the component was encrypted.
    #[error("could not decrypt data: encryption key name not found on record")]
    NotSealed,
    /// Sealed with a key that the component does not have.
    #[error(
        "could not decrypt data: it was encrypted with the key `{0}`, which is neither the primary nor the secondary key"
    )]
    UnknownKey(String),
    /// Sealed with another key of that name, or changed.
    #[error(
        "could not decrypt data: the key `{0}` is another one than it was encrypted with, or the data is damaged"
    )]
    WrongKey(String),
    /// The machine gave no random numbers, or the value is too large for AES-GCM.
    #[error("could not encrypt data")]
    NotEncrypted,
}

impl Encryption {
    /// Seals with `primary`, opens with both.
    pub fn new(primary: EncryptionKey, secondary: Option<EncryptionKey>) -> Self {
        Self { primary, secondary }
    }

    /// Seals a value.
    pub fn seal(&self, value: &[u8]) -> Result<Bytes, EncryptionError> {
        let sealed = self.primary.seal(value)?;
        let mut text = STANDARD.encode(sealed);
        text.push_str(SEPARATOR);
        text.push_str(self.primary.name());
        Ok(text.into())
    }

    /// Opens a value; an empty one was not sealed.
    pub fn open(&self, value: &[u8]) -> Result<Bytes, EncryptionError> {
        if value.is_empty() {
            return Ok(Bytes::new());
        }
        let text = std::str::from_utf8(value).map_err(|_| EncryptionError::NotSealed)?;
        let (sealed, name) = text.rsplit_once(SEPARATOR).ok_or(EncryptionError::NotSealed)?;
        let keys = [Some(&self.primary), self.secondary.as_ref()];
        let named = keys.into_iter().flatten().filter(|key| key.name() == name);
        let sealed = STANDARD.decode(sealed).map_err(|_| EncryptionError::NotSealed)?;
        let mut outcome = Err(EncryptionError::UnknownKey(name.to_owned()));
        // Both may have the same name, when a secret was exchanged in its place.
        for key in named {
            outcome = key
                .open(&sealed)
                .ok_or_else(|| EncryptionError::WrongKey(name.to_owned()));
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(Bytes::from)
    }

    /// Seals the values of operations, for who contributes them to a batch.
    pub fn seal_operations(&self, mut operations: Vec<Operation>) -> Result<Vec<Operation>, StateError> {
        for operation in &mut operations {
            if let Operation::Set(set) = operation {
                set.value = self.seal(&set.value)?;
            }
        }
        Ok(operations)
    }

    fn open_item(&self, mut item: Item) -> Result<Item, StateError> {
        item.value = self.open(&item.value)?;
        Ok(item)
    }

    /// How many bytes a value may have so that it is no more than `sealed_bytes` when it is sealed.
    fn room(&self, sealed_bytes: usize) -> usize {
        let encoded = sealed_bytes.saturating_sub(SEPARATOR.len() + self.primary.name().len());
        (encoded / 4 * 3).saturating_sub(key::OVERHEAD_BYTES)
    }
}

#[cfg(test)]
mod tests;
