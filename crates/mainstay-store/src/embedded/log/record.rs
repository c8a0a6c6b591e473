//! What a group holds: the changes of its commits.
//!
//! ```text
//!   record  number 8 | changes 4 | change…
//!   delete  0 | key bytes 2 | key
//!   put     1 | key bytes 2 | key | value bytes 4 | value
//!   copy    2 | key bytes 2 | key | value bytes 4 | value | version 8
//! ```
//! Numbers are big endian. Keys are those of the tree, with the space in front.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::version::Version;

const DELETE: u8 = 0;
const PUT: u8 = 1;
const COPY: u8 = 2;

/// A change of one key of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Change {
    pub key: Bytes,
    /// Its new value, or none.
    pub value: Option<Bytes>,
    /// The version that the value has in the store that it was copied from. A commit's own changes have its number.
    pub version: Option<Version>,
}

/// Changes that are made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Record {
    /// Where they stand among all changes of the tree. It is the version of a commit that was made here.
    pub number: u64,
    pub changes: Vec<Change>,
}

impl Change {
    pub(in crate::embedded) fn put(key: Bytes, value: Bytes) -> Self {
        Self {
            key,
            value: Some(value),
            version: None,
        }
    }

    pub(in crate::embedded) fn delete(key: Bytes) -> Self {
        Self {
            key,
            value: None,
            version: None,
        }
    }

    fn encode(&self, into: &mut BytesMut) {
        into.put_u8(match (&self.value, self.version) {
            (None, _) => DELETE,
            (Some(_), None) => PUT,
            (Some(_), Some(_)) => COPY,
        });
        into.put_u16(self.key.len() as u16);
        into.put_slice(&self.key);
        if let Some(value) = &self.value {
            into.put_u32(value.len() as u32);
            into.put_slice(value);
            if let Some(version) = self.version {
                into.put_u64(version.as_u64());
            }
        }
    }

    fn decode(payload: &mut Bytes) -> Option<Self> {
        let kind = payload.try_get_u8().ok()?;
        let length = payload.try_get_u16().ok()?;
        let key = take(payload, usize::from(length))?;
        if kind == DELETE {
            return Some(Self::delete(key));
        }
        let length = payload.try_get_u32().ok()?;
        let value = take(payload, length as usize)?;
        let version = match kind {
            PUT => None,
            COPY => Some(Version::from_u64(payload.try_get_u64().ok()?)),
            _ => return None,
        };
        Some(Self {
            key,
            value: Some(value),
            version,
        })
    }
}

impl Record {
    pub(in crate::embedded) fn encode(&self, into: &mut BytesMut) {
        encode(self.number, &self.changes, into);
    }

    /// The records of a payload; `None` when it is none that [`Record::encode`] made.
    pub(in crate::embedded) fn decode_all(mut payload: Bytes) -> Option<Vec<Self>> {
        let mut records = Vec::new();
        while payload.has_remaining() {
            records.push(Self::decode(&mut payload)?);
        }
        Some(records)
    }

    /// The record that `payload` begins with.
    pub(in crate::embedded) fn decode(payload: &mut Bytes) -> Option<Self> {
        let number = payload.try_get_u64().ok()?;
        let count = payload.try_get_u32().ok()?;
        let changes = (0..count)
            .map(|_| Change::decode(payload))
            .collect::<Option<_>>()?;
        Some(Self { number, changes })
    }
}

/// The bytes of a record.
pub(in crate::embedded) fn encode(number: u64, changes: &[Change], into: &mut BytesMut) {
    into.put_u64(number);
    into.put_u32(changes.len() as u32);
    for change in changes {
        change.encode(into);
    }
}

fn take(payload: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= payload.len()).then(|| payload.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from)
    }

    prop_compose! {
        fn change()(
            key in bytes(40),
            value in proptest::option::of((bytes(300), proptest::option::of(any::<u64>()))),
        ) -> Change {
            let version = value.as_ref().and_then(|(_, version)| *version);
            Change { key, value: value.map(|(value, _)| value), version: version.map(Version::from_u64) }
        }
    }

    prop_compose! {
        fn record()(
            number in any::<u64>(),
            changes in proptest::collection::vec(change(), 0..5),
        ) -> Record {
            Record { number, changes }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(records in proptest::collection::vec(record(), 0..5)) {
            let mut payload = BytesMut::new();
            for record in &records {
                record.encode(&mut payload);
            }
            prop_assert_eq!(Record::decode_all(payload.freeze()), Some(records));
        }

        #[test]
        fn anything_may_be_decoded(payload in bytes(200)) {
            let _ = Record::decode_all(payload);
        }
    }

    /// A log that was written before changes had versions of their own.
    #[test]
    fn old_logs_stay_readable() {
        let payload = b"\0\0\0\0\0\0\0\x07\0\0\0\x02\x01\0\x02\x01a\0\0\0\x01x\0\0\x02\x01b";
        let expected = Record {
            number: 7,
            changes: vec![
                Change::put(Bytes::from_static(b"\x01a"), Bytes::from_static(b"x")),
                Change::delete(Bytes::from_static(b"\x01b")),
            ],
        };
        let payload = Bytes::from_static(payload);
        assert_eq!(Record::decode_all(payload), Some(vec![expected]));
    }
}
