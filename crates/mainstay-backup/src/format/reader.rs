//! Bytes in, records out; nothing that is not proved to be what was written.

use bytes::{Buf as _, BytesMut};

use super::CHUNK_BYTES;
use super::error::FormatError;
use super::header::{self, Header, Kind};
use super::record::{Decoder, Record, Tally, Totals};
use super::seal::{Place, Seal, TAG_BYTES};
use super::writer::LAST;
use crate::key::BackupKey;

/// Longest sealed chunk: what compression and sealing may add to 1 MiB is well below 64 KiB.
const MAX_SEALED_BYTES: usize = CHUNK_BYTES + 64 * 1_024;

/// What a container is expected to be opened with.
#[derive(Clone, Debug)]
pub enum Lock {
    /// This key; one that is not encrypted is refused.
    Key(BackupKey),
    /// Nothing; one that is encrypted is refused.
    Open,
}

/// What comes out of a container, in this order: its header, records, the totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// What it says about itself.
    Header(Header),
    /// An entry, a token, a file or a commit.
    Record(Record),
    /// All of it has come. Ask [`Reader::finish`] when its bytes have ended.
    Totals(Totals),
}

/// Reads a container. It holds one chunk and one record beside what was pushed and not read yet.
pub struct Reader {
    lock: Lock,
    wanted: Option<Kind>,
    buffer: BytesMut,
    /// Bytes that were taken from the buffer.
    at: u64,
    seal: Option<Seal>,
    number: u64,
    is_last: bool,
    records: Decoder,
    tally: Tally,
    end: Option<Totals>,
}

impl Reader {
    /// Reads a container that is opened with `lock`.
    pub fn new(lock: Lock) -> Self {
        Self {
            lock,
            wanted: None,
            buffer: BytesMut::new(),
            at: 0,
            seal: None,
            number: 0,
            is_last: false,
            records: Decoder::default(),
            tally: Tally::new(),
            end: None,
        }
    }

    /// Refuses every other kind.
    #[must_use]
    pub fn wanting(mut self, kind: Kind) -> Self {
        self.wanted = Some(kind);
        self
    }

    /// Takes the next bytes, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What comes next; `None` while more bytes are needed. After an error there is no more.
    pub fn pull(&mut self) -> Result<Option<Item>, FormatError> {
        if self.seal.is_none() {
            return Ok(self.header()?.map(Item::Header));
        }
        loop {
            if self.end.is_some() {
                return Ok(None);
            }
            if let Some((record, bytes)) = self.records.pull()? {
                return self.record(record, &bytes).map(Some);
            }
            if self.is_last || !self.chunk()? {
                return Ok(None);
            }
        }
    }

    /// There are no more bytes. Only now is it known to be whole.
    pub fn finish(self) -> Result<Totals, FormatError> {
        let Some(totals) = self.end else {
            return Err(if self.is_last {
                FormatError::Malformed("it ends without its totals")
            } else {
                let bytes = self.at + self.buffer.len() as u64;
                FormatError::Truncated { bytes }
            });
        };
        if self.buffer.is_empty() {
            Ok(totals)
        } else {
            Err(FormatError::Trailing { at: self.at })
        }
    }

    fn header(&mut self) -> Result<Option<Header>, FormatError> {
        let Some((header, length)) = header::read(&self.buffer)? else {
            return Ok(None);
        };
        if let Some(wanted) = self.wanted
            && wanted != header.kind
        {
            let found = header.kind;
            return Err(FormatError::WrongKind { found, wanted });
        }
        let encryption = match (&header.encryption, &self.lock) {
            (None, Lock::Open) => None,
            (None, Lock::Key(_)) => return Err(FormatError::NotEncrypted),
            (Some(encryption), Lock::Open) => {
                let made_with = encryption.key.clone();
                return Err(FormatError::KeyNeeded { made_with });
            }
            (Some(encryption), Lock::Key(key)) if encryption.key == key.id() => Some((encryption, key)),
            (Some(encryption), Lock::Key(key)) => {
                return Err(FormatError::WrongKey {
                    made_with: encryption.key.clone(),
                    given: key.id().to_owned(),
                });
            }
        };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        self.seal = Some(Seal::new(bytes, encryption)?);
        self.advance(length);
        Ok(Some(header))
    }

    /// Opens the next chunk; `false` when it has not come as a whole.
    fn chunk(&mut self) -> Result<bool, FormatError> {
        let (chunk, at) = (self.number, self.at);
        let damaged = || FormatError::Damaged { chunk, at };
        let Some((length, rest)) = self.buffer.split_first_chunk() else {
            return Ok(false);
        };
        let length = u32::from_be_bytes(*length);
        let (length, is_last) = ((length & !LAST) as usize, length & LAST != 0);
        if !(TAG_BYTES..=MAX_SEALED_BYTES).contains(&length) {
            return Err(damaged());
        }
        if rest.len() < length {
            return Ok(false);
        }
        self.advance(4);
        let mut sealed = self.buffer.split_to(length);
        self.at += length as u64;
        let place = Place {
            number: chunk,
            is_last,
        };
        let opened = self.seal.as_ref().and_then(|seal| seal.open(place, &mut sealed));
        let plain = zstd::bulk::decompress(opened.ok_or_else(damaged)?, CHUNK_BYTES);
        self.records.push(&plain.map_err(|_| damaged())?);
        self.number += 1;
        self.is_last = is_last;
        Ok(true)
    }

    fn record(&mut self, record: Record, bytes: &[u8]) -> Result<Item, FormatError> {
        match record {
            Record::End(totals) => {
                if !self.is_last || !self.records.is_empty() {
                    return Err(FormatError::Malformed("records follow after its totals"));
                }
                if totals != self.tally.totals() {
                    return Err(FormatError::Malformed("it does not hold what its totals say"));
                }
                self.end = Some(totals);
                Ok(Item::Totals(totals))
            }
            Record::Begin { .. } | Record::Failed(_) => {
                Err(FormatError::Malformed("a record that belongs into no container"))
            }
            record => {
                self.tally.add(&record, bytes);
                Ok(Item::Record(record))
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.at += bytes as u64;
    }
}
