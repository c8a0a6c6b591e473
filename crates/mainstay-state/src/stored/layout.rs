//! Where values stand in the store, and what their bytes are.
//!
//! ```text
//! state/<component>/r/<key>                     a record
//! state/<component>/x/<expires at, 8 bytes><key>  says that the record may have expired then
//!
//! record:  format (1) │ flags │ expires at, 8 bytes │ length │ content type │ value
//!                               if flags & EXPIRES    if flags & TYPED
//! ```
//!
//! A record that is replaced leaves its line in the index of expiries behind: to remove it would need a read before
//! every write. The sweeper finds that it says nothing any more. Numbers are big endian; times are ms since 1970.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mainstay_store::{Key, KeyRange, Stored, Value};

use crate::error::StateError;
use crate::key::InvalidKey;
use crate::limits::{MAX_NAME_BYTES, MAX_VALUE_BYTES};
use crate::port::{Etag, Item, Set};

const FORMAT: u8 = 1;
const EXPIRES: u8 = 1;
const TYPED: u8 = 2;

/// A component whose name cannot be part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a state store: 1 to {MAX_NAME_BYTES} bytes without `/`")]
pub struct InvalidName(String);

/// The keys of one component.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    records: Bytes,
    expiries: Bytes,
}

impl Layout {
    pub(super) fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('/') {
            return Err(InvalidName(name.to_owned()));
        }
        Ok(Self {
            records: format!("state/{name}/r/").into(),
            expiries: format!("state/{name}/x/").into(),
        })
    }

    pub(super) fn record(&self, name: &str) -> Result<Key, StateError> {
        let mut key = BytesMut::with_capacity(self.records.len() + name.len());
        key.put_slice(&self.records);
        key.put_slice(name.as_bytes());
        valid(key)
    }

    /// The records whose names begin with `prefix`.
    pub(super) fn records(&self, prefix: &str) -> KeyRange {
        let mut start = BytesMut::from(self.records.as_ref());
        start.put_slice(prefix.as_bytes());
        KeyRange::prefix(start)
    }

    /// The name in the key of a record.
    pub(super) fn parse_record(&self, key: &Key) -> Option<String> {
        let name = key.as_ref().strip_prefix(self.records.as_ref())?;
        String::from_utf8(name.to_vec()).ok()
    }

    pub(super) fn expiry(&self, expires_at_ms: u64, name: &str) -> Result<Key, StateError> {
        let mut key = BytesMut::with_capacity(self.expiries.len() + 8 + name.len());
        key.put_slice(&self.expiries);
        key.put_u64(expires_at_ms);
        key.put_slice(name.as_bytes());
        valid(key)
    }

    /// All that may have expired at `now_ms`.
    pub(super) fn due(&self, now_ms: u64) -> KeyRange {
        let mut end = BytesMut::from(self.expiries.as_ref());
        end.put_u64(now_ms.saturating_add(1));
        KeyRange::between(self.expiries.clone(), end)
    }

    /// The time and the name in a key of the index.
    pub(super) fn parse_expiry(&self, key: &Key) -> Option<(u64, String)> {
        let mut rest = key.as_ref().strip_prefix(self.expiries.as_ref())?;
        let expires_at_ms = rest.try_get_u64().ok()?;
        Some((expires_at_ms, String::from_utf8(rest.to_vec()).ok()?))
    }
}

/// Sizes were checked with the operation; the store has the last word.
fn valid(key: BytesMut) -> Result<Key, StateError> {
    let length = key.len();
    Key::new(key).map_err(|_| InvalidKey::Long(length).into())
}

pub(crate) fn encode(set: &Set, expires_at_ms: Option<u64>) -> Result<Value, StateError> {
    let typed = set.content_type.as_deref();
    let mut bytes = BytesMut::with_capacity(11 + typed.map_or(0, str::len) + set.value.len());
    bytes.put_u8(FORMAT);
    bytes.put_u8(expires_at_ms.map_or(0, |_| EXPIRES) | typed.map_or(0, |_| TYPED));
    if let Some(expires) = expires_at_ms {
        bytes.put_u64(expires);
    }
    if let Some(typed) = typed {
        let length = u8::try_from(typed.len()).map_err(|_| StateError::LongContentType(typed.len()))?;
        bytes.put_u8(length);
        bytes.put_slice(typed.as_bytes());
    }
    bytes.put_slice(&set.value);
    Value::new(bytes).map_err(|_| StateError::LargeValue {
        key: set.key.clone(),
        bytes: set.value.len(),
        limit: MAX_VALUE_BYTES,
    })
}

pub(super) fn decode(name: &str, stored: Stored) -> Result<Item, StateError> {
    let etag = Etag::numbered(stored.version.as_u64());
    parse(stored.value.into_bytes(), etag).ok_or_else(|| StateError::Unreadable(name.to_owned()))
}

/// What a record says; `None` when it is not one that this version has written.
pub(crate) fn parse(mut bytes: Bytes, etag: Etag) -> Option<Item> {
    if bytes.try_get_u8().ok()? != FORMAT {
        return None;
    }
    let flags = bytes.try_get_u8().ok()?;
    if flags & !(EXPIRES | TYPED) != 0 {
        return None;
    }
    let expires_at_ms = match flags & EXPIRES {
        0 => None,
        _ => Some(bytes.try_get_u64().ok()?),
    };
    let content_type = match flags & TYPED {
        0 => None,
        _ => Some(text(&mut bytes)?),
    };
    Some(Item {
        value: bytes,
        etag,
        content_type,
        expires_at_ms,
    })
}

fn text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u8().ok()?);
    if bytes.len() < length {
        return None;
    }
    String::from_utf8(bytes.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{MAX_CONTENT_TYPE_BYTES, MAX_KEY_BYTES};

    fn etag() -> Etag {
        Etag::numbered(1)
    }

    #[test]
    fn the_largest_of_everything_fits() {
        let layout = Layout::new(&"n".repeat(MAX_NAME_BYTES)).unwrap();
        let name = "k".repeat(MAX_KEY_BYTES);
        assert!(layout.record(&name).is_ok());
        assert!(layout.expiry(u64::MAX, &name).is_ok());
        let mut set = Set::new("k", vec![7; MAX_VALUE_BYTES]);
        set.content_type = Some("t".repeat(MAX_CONTENT_TYPE_BYTES));
        assert!(encode(&set, Some(1)).is_ok());
    }

    #[test]
    fn names_stay_in_their_place() {
        for wrong in ["", "a/b", &"n".repeat(MAX_NAME_BYTES + 1)] {
            assert!(Layout::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn due_is_what_expires_until_now() {
        let layout = Layout::new("s").unwrap();
        let due = |expires| {
            let key = layout.expiry(expires, "k").unwrap();
            layout.due(1_000).contains(key.as_ref())
        };
        assert!(due(0) && due(1_000));
        assert!(!due(1_001) && !due(u64::MAX));
    }

    proptest! {
        #[test]
        fn records_come_back(
            value in proptest::collection::vec(any::<u8>(), 0..50),
            content_type in proptest::option::of("[a-z/]{0,20}"),
            expires_at_ms in any::<Option<u64>>(),
        ) {
            let mut set = Set::new("k", value.clone());
            set.content_type = content_type.clone();
            let bytes = encode(&set, expires_at_ms).unwrap().into_bytes();
            let item = parse(bytes, etag()).unwrap();
            prop_assert_eq!(item, Item { value: value.into(), etag: etag(), content_type, expires_at_ms });
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(bytes.into(), etag());
        }

        #[test]
        fn expiries_come_back(expires in any::<u64>(), name in ".{1,40}") {
            let layout = Layout::new("s").unwrap();
            let key = layout.expiry(expires, &name).unwrap();
            prop_assert_eq!(layout.parse_expiry(&key), Some((expires, name)));
        }
    }
}
