//! How entries are written for a store outside the process.
//!
//! ```text
//!   magic "MSTC" │ version 1 │ ttl ms │ stale ms │ salt │ epoch │ payload … │ XXH3 of all before, seeded by the key
//! ```
//!
//! Numbers are little-endian. An entry of another version is no entry; a damaged one, or one under a wrong key, is told.

use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::StoreError;
use crate::policy::Lifetime;

const MAGIC: &[u8; 4] = b"MSTC";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// How a kind of value is written and read.
pub trait Codec<V>: Send + Sync + 'static {
    /// Writes a value.
    fn encode(&self, value: &V, writer: &mut Writer);

    /// Reads what [`Codec::encode`] wrote; `None` when it cannot have. Must take any bytes.
    fn decode(&self, reader: &mut Reader) -> Option<V>;
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(&self, value: &Bytes, writer: &mut Writer) {
        writer.bytes(value);
    }

    fn decode(&self, reader: &mut Reader) -> Option<Bytes> {
        reader.bytes()
    }
}

/// Writes the fields of a value.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// A number.
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.u64(value.len() as u64);
        self.0.extend_from_slice(value);
    }
}

/// Reads the fields of a value, in the order in which they were written. Nothing is copied.
#[derive(Debug)]
pub struct Reader(Bytes);

impl Reader {
    #[cfg(test)]
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    /// A byte; `None` at the end.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number; `None` at the end.
    pub fn u64(&mut self) -> Option<u64> {
        let bytes: [u8; 8] = self.take(8)?.as_ref().try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Bytes with their length; `None` when they are cut short.
    pub fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.u64()?).ok()?;
        self.take(length)
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value with what has to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<V> {
    pub(crate) value: V,
    pub(crate) lifetime: Lifetime,
    pub(crate) salt: u64,
    /// When everything is to be forgotten, this changes.
    pub(crate) epoch: u64,
}

impl<V: 'static> Envelope<V> {
    /// Writes it for `key`.
    pub(crate) fn encode(&self, key: &str, codec: &dyn Codec<V>) -> Vec<u8> {
        let mut writer = Writer(Vec::with_capacity(256));
        writer.0.extend_from_slice(MAGIC);
        writer.u8(VERSION);
        writer.u64(whole_millis(self.lifetime.ttl));
        writer.u64(whole_millis(self.lifetime.stale));
        writer.u64(self.salt);
        writer.u64(self.epoch);
        codec.encode(&self.value, &mut writer);
        let checksum = checksum(key, &writer.0);
        writer.u64(checksum);
        writer.0
    }

    /// Reads what was found under `key`; `Ok(None)` when another version wrote it.
    pub(crate) fn decode(key: &str, found: Bytes, codec: &dyn Codec<V>) -> Result<Option<Self>, StoreError> {
        let mut reader = Reader(found);
        let payload_bytes = reader.0.len().checked_sub(CHECKSUM_BYTES);
        let payload = payload_bytes.and_then(|length| reader.take(length));
        let payload = payload.ok_or(StoreError::Damaged)?;
        let is_ours = payload.starts_with(MAGIC);
        if is_ours
            && payload
                .get(MAGIC.len())
                .is_some_and(|version| *version != VERSION)
        {
            return Ok(None);
        }
        if !is_ours || reader.u64() != Some(checksum(key, &payload)) {
            return Err(StoreError::Damaged);
        }
        let mut reader = Reader(payload);
        Self::read(&mut reader, codec)
            .map(Some)
            .ok_or(StoreError::Damaged)
    }

    fn read(reader: &mut Reader, codec: &dyn Codec<V>) -> Option<Self> {
        reader.take(MAGIC.len() + 1)?;
        let lifetime = Lifetime {
            ttl: Duration::from_millis(reader.u64()?),
            stale: Duration::from_millis(reader.u64()?),
        };
        let (salt, epoch) = (reader.u64()?, reader.u64()?);
        let value = codec.decode(reader)?;
        reader.is_empty().then_some(Self {
            value,
            lifetime,
            salt,
            epoch,
        })
    }
}

fn checksum(key: &str, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, xxh3_64(key.as_bytes()))
}

/// A duration as it is written.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(value: Vec<u8>, numbers: [u64; 4]) -> Envelope<Bytes> {
        let [ttl, stale, salt, epoch] = numbers;
        Envelope {
            value: value.into(),
            lifetime: Lifetime {
                ttl: Duration::from_millis(ttl),
                stale: Duration::from_millis(stale),
            },
            salt,
            epoch,
        }
    }

    #[test]
    fn another_version_is_no_entry() {
        let mut written = envelope(b"v".to_vec(), [1; 4]).encode("k", &Raw);
        written[MAGIC.len()] += 1;
        assert_eq!(Envelope::decode("k", written.into(), &Raw), Ok(None));
    }

    #[test]
    fn an_entry_under_another_key_is_refused() {
        let written = envelope(b"v".to_vec(), [1; 4]).encode("k", &Raw);
        assert_eq!(
            Envelope::decode("l", written.into(), &Raw),
            Err(StoreError::Damaged)
        );
    }

    /// Bytes without their length.
    struct Bare;

    impl Codec<Bytes> for Bare {
        fn encode(&self, value: &Bytes, writer: &mut Writer) {
            writer.0.extend_from_slice(value);
        }

        fn decode(&self, reader: &mut Reader) -> Option<Bytes> {
            reader.take(reader.0.len())
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value: Vec<u8>, key: String, numbers: [u64; 4]) {
            let envelope = envelope(value, numbers);
            let written = envelope.encode(&key, &Raw);
            prop_assert_eq!(Envelope::decode(&key, written.into(), &Raw), Ok(Some(envelope)));
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, ours: bool) {
            let mut found = if ours { b"MSTC\x01".to_vec() } else { Vec::new() };
            found.extend(bytes);
            prop_assert_eq!(Envelope::decode("k", found.into(), &Raw), Err(StoreError::Damaged));
        }

        #[test]
        fn no_damage_goes_unseen(value: Vec<u8>, numbers: [u64; 4], bit: prop::sample::Index, cut: prop::sample::Index) {
            let envelope = envelope(value, numbers);
            let written = envelope.encode("k", &Raw);
            let mut flipped = written.clone();
            let bit = bit.index(written.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(Envelope::decode("k", flipped.into(), &Raw), Ok(Some(envelope)));
            let cut = written[..cut.index(written.len())].to_vec();
            prop_assert!(!matches!(Envelope::decode("k", cut.into(), &Raw), Ok(Some(_))));
        }

        #[test]
        fn fields_of_any_bytes_are_taken(bytes: Vec<u8>) {
            // A checksum that fits does not make what is inside fit.
            let envelope = Envelope { value: Bytes::from(bytes), ..envelope(Vec::new(), [1; 4]) };
            let written = envelope.encode("k", &Bare);
            let _ = Envelope::<Bytes>::decode("k", written.into(), &Raw);
        }
    }
}
