//! One key.

use std::fmt;

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::EncryptionError;
use crate::key::SEPARATOR;

/// What sealing adds to a value: the nonce and the tag.
pub(super) const OVERHEAD_BYTES: usize = NONCE_LEN + 16;

/// Longest name of a key in bytes.
const MAX_KEY_NAME_BYTES: usize = 256;

/// A key for AES-GCM and the name of the secret that it is in.
pub struct EncryptionKey {
    name: String,
    key: LessSafeKey,
}

/// A key that cannot be used. It does not say what the key is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEncryptionKey {
    /// Not hexadecimal, or of another length.
    #[error("the encryption key `{0}` must be 64 hexadecimal digits for AES-256, or 32 for AES-128")]
    Digits(String),
    /// No name, or one that would not be found again in what is sealed.
    #[error("`{0}` cannot name an encryption key: 1 to {MAX_KEY_NAME_BYTES} bytes without `{SEPARATOR}`")]
    Name(String),
}

impl EncryptionKey {
    /// A key in hexadecimal digits, of 32 bytes (AES-256) or 16 (AES-128), and the name of its secret.
    pub fn parse(name: &str, digits: &str) -> Result<Self, InvalidEncryptionKey> {
        // A name that begins with half a separator would be found one byte too late.
        if name.is_empty()
            || name.len() > MAX_KEY_NAME_BYTES
            || name.contains(SEPARATOR)
            || name.starts_with('|')
        {
            return Err(InvalidEncryptionKey::Name(name.to_owned()));
        }
        let invalid = || InvalidEncryptionKey::Digits(name.to_owned());
        let bytes = decode_hex(digits).ok_or_else(invalid)?;
        let algorithm = match bytes.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return Err(invalid()),
        };
        let key = UnboundKey::new(algorithm, &bytes).map_err(|_| invalid())?;
        Ok(Self {
            name: name.to_owned(),
            key: LessSafeKey::new(key),
        })
    }

    /// The name of its secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nonce, ciphertext, tag.
    pub(super) fn seal(&self, value: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        // Random nonces of 96 bits: a key may seal 2^32 values (NIST SP 800-38D, 8.3), then it is to be exchanged.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| EncryptionError::NotEncrypted)?;
        let mut text = value.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(unique, Aad::empty(), &mut text)
            .map_err(|_| EncryptionError::NotEncrypted)?;
        let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + text.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// `None` when it was not sealed with this key or is damaged.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::empty(), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Never the key itself.
impl fmt::Debug for EncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncryptionKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let pairs = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => u8::try_from(value(high)? * 16 + value(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}
