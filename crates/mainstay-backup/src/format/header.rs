//! What stands before the chunks, readable without a key.

use std::fmt;

use mainstay_store::Version;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::MAGIC;
use super::error::FormatError;

/// The format that is written. Containers of a higher number are refused.
pub const FORMAT: u16 = 1;

/// Longest header in JSON.
const MAX_HEADER_BYTES: usize = 64 * 1_024;

/// Before the JSON: magic, format, length.
const PREFIX_BYTES: usize = MAGIC.len() + 2 + 4;

/// After it.
const CHECKSUM_BYTES: usize = 8;

/// What a container says about itself. It is not secret; with a key it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What it holds.
    pub kind: Kind,
    /// The system it is of.
    pub system: String,
    /// When it was begun, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The version of Mainstay that wrote it.
    pub mainstay: String,
    /// The version that its first change comes after. 0 for a backup, which begins with nothing.
    #[serde(with = "as_text")]
    pub after: Version,
    /// The version of the store that it shows.
    #[serde(with = "as_text")]
    pub at: Version,
    /// How chunks are compressed.
    pub compression: Compression,
    /// How they are encrypted, if they are.
    pub encryption: Option<Encryption>,
}

/// What a container holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole store at one moment.
    Backup,
    /// The changes between two moments.
    Segment,
}

/// How chunks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard (RFC 8878), each chunk alone.
    Zstd,
}

/// How chunks are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// With what.
    pub cipher: Cipher,
    /// The identity of the key.
    pub key: String,
    /// Makes the key of this container, in base64.
    pub salt: String,
}

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cipher {
    /// AES-256-GCM under a key from HKDF-SHA256.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Backup => "a backup",
            Self::Segment => "a segment of an archive",
        })
    }
}

/// The bytes before the first chunk.
pub(super) fn write(header: &Header) -> Result<Vec<u8>, FormatError> {
    let json = serde_json::to_vec(header).map_err(|_| FormatError::Malformed("the header is no JSON"))?;
    let length = u32::try_from(json.len()).ok();
    let length = length.filter(|_| json.len() <= MAX_HEADER_BYTES);
    let length = length.ok_or(FormatError::Malformed("the header is too long"))?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + json.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&json);
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

/// What the container says about itself that begins with these bytes; `None` while more are needed.
///
/// Needs no key, and proves nothing: whoever could write to the container could have put it there.
pub fn peek(bytes: &[u8]) -> Result<Option<Header>, FormatError> {
    Ok(read(bytes)?.map(|(header, _)| header))
}

/// Reads the header from the beginning of a container, and how many bytes it takes; `None` while more are needed.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, FormatError> {
    let begun = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if !MAGIC.starts_with(begun) {
        return Err(FormatError::NotABackup);
    }
    let Some((format, rest)) = bytes.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk) else {
        return Ok(None);
    };
    let found = u16::from_be_bytes(*format);
    if found > FORMAT {
        let known = FORMAT;
        return Err(FormatError::Newer { found, known });
    }
    let Some((length, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_HEADER_BYTES || found == 0 {
        return Err(FormatError::DamagedHeader);
    }
    let Some((json, checksum)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    let Some((checksum, _)) = checksum.split_first_chunk() else {
        return Ok(None);
    };
    let covered = bytes.get(..PREFIX_BYTES + length).unwrap_or_default();
    if xxh3_64(covered) != u64::from_be_bytes(*checksum) {
        return Err(FormatError::DamagedHeader);
    }
    let header = serde_json::from_slice(json);
    let header = header.map_err(|_| FormatError::Malformed("its header has another form"))?;
    Ok(Some((header, covered.len() + CHECKSUM_BYTES)))
}

/// Versions as text: readers of JSON in other languages round numbers of that size.
mod as_text {
    use mainstay_store::Version;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
    pub(super) fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().map_err(D::Error::custom)?;
        Ok(Version::from_u64(number))
    }
}
