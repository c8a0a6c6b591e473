//! What a group holds: the changes of its commits.
//!
//! ```text
//!   commit  version 8 | changes 4 | change…
//!   put     1 | key bytes 2 | key | value bytes 4 | value
//!   delete  0 | key bytes 2 | key
//! ```
//! Numbers are big endian. Keys are those of the tree, with the space in front.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::version::Version;

const DELETE: u8 = 0;
const PUT: u8 = 1;

/// A change of one key of the tree: its new value, or none.
pub(in crate::embedded) type Change = (Bytes, Option<Bytes>);

/// The changes of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Record {
    pub version: Version,
    pub changes: Vec<Change>,
}

impl Record {
    pub(in crate::embedded) fn encode(&self, into: &mut BytesMut) {
        into.put_u64(self.version.as_u64());
        into.put_u32(self.changes.len() as u32);
        for (key, value) in &self.changes {
            into.put_u8(if value.is_some() { PUT } else { DELETE });
            into.put_u16(key.len() as u16);
            into.put_slice(key);
            if let Some(value) = value {
                into.put_u32(value.len() as u32);
                into.put_slice(value);
            }
        }
    }

    /// The records of a payload; `None` when it is none that [`Record::encode`] made.
    pub(in crate::embedded) fn decode_all(mut payload: Bytes) -> Option<Vec<Self>> {
        let mut records = Vec::new();
        while payload.has_remaining() {
            records.push(Self::decode(&mut payload)?);
        }
        Some(records)
    }

    fn decode(payload: &mut Bytes) -> Option<Self> {
        let version = Version::from_u64(payload.try_get_u64().ok()?);
        let count = payload.try_get_u32().ok()?;
        let mut changes = Vec::new();
        for _ in 0..count {
            let kind = payload.try_get_u8().ok()?;
            let length = payload.try_get_u16().ok()?;
            let key = take(payload, usize::from(length))?;
            let value = match kind {
                DELETE => None,
                PUT => {
                    let length = payload.try_get_u32().ok()?;
                    Some(take(payload, length as usize)?)
                }
                _ => return None,
            };
            changes.push((key, value));
        }
        Some(Self { version, changes })
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
        fn record()(
            version in any::<u64>(),
            changes in proptest::collection::vec((bytes(40), proptest::option::of(bytes(300))), 0..5),
        ) -> Record {
            Record { version: Version::from_u64(version), changes }
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
}
