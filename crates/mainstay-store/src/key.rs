//! Keys, values and ranges of keys.

use std::borrow::Borrow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::{APPEND_SUFFIX_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::version::Version;

/// The name of a value: 1 to [`MAX_KEY_BYTES`] bytes, ordered as bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

/// What a key names: 0 to [`MAX_VALUE_BYTES`] bytes. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Bytes);

/// A key or value outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSize {
    /// A key without a byte.
    #[error("a key is empty: it needs 1 to {MAX_KEY_BYTES} bytes")]
    EmptyKey,
    /// A key of so many bytes.
    #[error("a key has {0} bytes: {MAX_KEY_BYTES} at most")]
    LongKey(usize),
    /// A value of so many bytes.
    #[error("a value has {0} bytes: {MAX_VALUE_BYTES} at most")]
    LongValue(usize),
}

impl Key {
    /// The key with these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, InvalidSize> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(InvalidSize::EmptyKey),
            1..=MAX_KEY_BYTES => Ok(Self(bytes)),
            length => Err(InvalidSize::LongKey(length)),
        }
    }

    /// A key that a store gives back, which was valid when it went in.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The key that the store gives to the `position`-th append of the batch that commits at `version`:
    /// `prefix`, the version (8 bytes, big endian), the position (2 bytes, big endian). Keys of one prefix sort by
    /// commit, then by position.
    pub fn appended(prefix: &AppendPrefix, version: Version, position: u16) -> Self {
        let mut bytes = BytesMut::with_capacity(prefix.0.len() + APPEND_SUFFIX_BYTES);
        bytes.put_slice(&prefix.0);
        bytes.put_u64(version.as_u64());
        bytes.put_u16(position);
        Self(bytes.freeze())
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Keys compare and hash as their bytes do.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Value {
    /// The value with these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, InvalidSize> {
        let bytes = bytes.into();
        match bytes.len() {
            0..=MAX_VALUE_BYTES => Ok(Self(bytes)),
            length => Err(InvalidSize::LongValue(length)),
        }
    }

    /// A value that a store gives back, which was valid when it went in.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, without copying.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Where a log stands: the store completes the key of each entry, see [`Key::appended`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendPrefix(Bytes);

impl AppendPrefix {
    /// The log whose keys begin with these bytes, [`APPEND_SUFFIX_BYTES`] shorter than a key may be.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, InvalidSize> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(InvalidSize::EmptyKey),
            length if length + APPEND_SUFFIX_BYTES > MAX_KEY_BYTES => {
                Err(InvalidSize::LongKey(length + APPEND_SUFFIX_BYTES))
            }
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Keys from `start` up to but without `end`; without `end`, all from `start` on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key that may be in it.
    pub start: Bytes,
    /// The first key that is not in it any more.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub const fn all() -> Self {
        Self {
            start: Bytes::new(),
            end: None,
        }
    }

    /// Keys from `start` up to but without `end`.
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self {
            start: start.into(),
            end: Some(end.into()),
        }
    }

    /// Keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = successor(&start);
        Self { start, end }
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_ref() <= key && self.end.as_ref().is_none_or(|end| key < end.as_ref())
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// This range without the keys up to and with `key`.
    #[must_use]
    pub fn after(&self, key: &Key) -> Self {
        Self {
            start: just_after(key.as_ref()).max(self.start.clone()),
            end: self.end.clone(),
        }
    }

    /// This range without the keys from `key` on.
    #[must_use]
    pub fn before(&self, key: &Key) -> Self {
        let end = match &self.end {
            Some(end) => end.min(&key.0).clone(),
            None => key.0.clone(),
        };
        Self {
            start: self.start.clone(),
            end: Some(end),
        }
    }
}

/// The smallest byte string after `key`.
pub(crate) fn just_after(key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(key.len() + 1);
    bytes.put_slice(key);
    bytes.put_u8(0);
    bytes.freeze()
}

/// The first byte string after all that begin with `prefix`; `None` when there is none (`prefix` is empty or all 0xFF).
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut bytes = BytesMut::from(prefix.get(..=last)?);
    let byte = bytes.last_mut()?;
    *byte += 1;
    Some(bytes.freeze())
}

/// Shows bytes as text where they are text; long values only by their beginning.
fn readable(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SHOWN: usize = 64;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    write!(formatter, "`{}`", shown.escape_ascii())?;
    if shown.len() < bytes.len() {
        write!(formatter, "… ({} bytes)", bytes.len())?;
    }
    Ok(())
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        readable(&self.0, formatter)
    }
}

impl fmt::Debug for AppendPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        readable(&self.0, formatter)
    }
}

impl fmt::Debug for Value {
    /// Only the size: values may be secrets, and a log is no place for them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Value({} bytes)", self.0.len())
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        readable(&self.start, formatter)?;
        formatter.write_str("..")?;
        self.end.as_ref().map_or(Ok(()), |end| readable(end, formatter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Key {
        Key::new(text).unwrap()
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(Key::new(""), Err(InvalidSize::EmptyKey));
        assert!(Key::new(vec![7; MAX_KEY_BYTES]).is_ok());
        assert_eq!(
            Key::new(vec![7; MAX_KEY_BYTES + 1]),
            Err(InvalidSize::LongKey(MAX_KEY_BYTES + 1))
        );
        assert!(Value::new("").is_ok());
        assert!(Value::new(vec![7; MAX_VALUE_BYTES]).is_ok());
        assert!(Value::new(vec![7; MAX_VALUE_BYTES + 1]).is_err());
        let longest = MAX_KEY_BYTES - APPEND_SUFFIX_BYTES;
        assert!(AppendPrefix::new(vec![7; longest]).is_ok());
        assert!(AppendPrefix::new(vec![7; longest + 1]).is_err());
    }

    #[test]
    fn prefixes_end_where_the_next_one_begins() {
        let orders = KeyRange::prefix("order/");
        for (text, inside) in [
            ("order", false),
            ("order/", true),
            ("order/\u{7f}x", true),
            ("order0", false),
        ] {
            assert_eq!(orders.contains(text.as_bytes()), inside, "{text}");
        }
        assert_eq!(
            KeyRange::prefix(vec![1, 255, 255]).end,
            Some(Bytes::from(vec![2]))
        );
        assert_eq!(KeyRange::prefix(vec![255]).end, None);
        assert_eq!(KeyRange::prefix("").end, None);
    }

    #[test]
    fn ranges_shrink_from_both_ends() {
        let range = KeyRange::between("b", "f");
        let rest = range.after(&key("c"));
        assert!(!rest.contains(b"c") && rest.contains(b"c\0") && !rest.contains(b"f"));
        let front = range.before(&key("c"));
        assert!(front.contains(b"b") && !front.contains(b"c"));
        assert!(range.before(&key("a")).is_empty());
        assert_eq!(range.after(&key("a")), range);
    }

    #[test]
    fn appended_keys_sort_by_version_then_position() {
        let log = AppendPrefix::new("log/").unwrap();
        let at = |version, position| Key::appended(&log, Version::from_u64(version), position);
        assert!(at(255, 9) < at(256, 0));
        assert!(at(256, 0) < at(256, 1));
        assert!(KeyRange::prefix("log/").contains(at(u64::MAX, u16::MAX).as_ref()));
    }

    #[test]
    fn values_do_not_show_their_bytes() {
        assert_eq!(format!("{:?}", Value::new("hunter2").unwrap()), "Value(7 bytes)");
    }
}
