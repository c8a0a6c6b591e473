//! How far a copy has come.

use std::fmt::Write as _;

use bytes::Bytes;
use mainstay_store::{KeyRange, Token};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is copied next: entries in the order of their keys, then tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cursor {
    /// Entries from this key on.
    Entries {
        /// The key; empty at first.
        from: Hex,
        /// How many were copied, roughly: what was copied twice counts twice.
        done: u64,
    },
    /// Tokens after this one.
    Tokens {
        /// The token; empty at first.
        after: Hex,
        /// How many entries were copied.
        done: u64,
    },
}

/// Bytes that are written as hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex(pub Bytes);

impl Cursor {
    /// Nothing was copied yet.
    pub fn start() -> Self {
        Self::Entries {
            from: Hex::default(),
            done: 0,
        }
    }

    /// How many entries were copied.
    pub const fn done(&self) -> u64 {
        match self {
            Self::Entries { done, .. } | Self::Tokens { done, .. } => *done,
        }
    }
}

impl Hex {
    /// All keys from this one on.
    pub(crate) fn keys_from(&self) -> KeyRange {
        KeyRange {
            start: self.0.clone(),
            end: None,
        }
    }

    /// The token, where there is one.
    pub(crate) fn token(&self) -> Option<Token> {
        Token::new(self.0.clone()).ok()
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * self.0.len());
        for byte in &self.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = digits
            .map(|pair| match pair {
                [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("these are no hexadecimal digits"))?;
        Ok(Self(bytes.into()))
    }
}
