//! Records in, bytes out.

use super::CHUNK_BYTES;
use super::error::FormatError;
use super::header::{self, Header};
use super::record::{Record, Tally, Totals, encode};
use super::seal::{self, Place, SALT_BYTES, Seal};
use crate::key::BackupKey;

/// How hard to compress. The library's own choice: several hundred MB/s on one core.
const COMPRESSION_LEVEL: i32 = 3;

/// The top bit of a chunk's length.
pub(super) const LAST: u32 = 1 << 31;

/// Writes a container. It holds one chunk, and what was not taken yet.
pub struct Writer {
    seal: Seal,
    tally: Tally,
    /// Records that no chunk holds yet.
    pending: Vec<u8>,
    /// Chunks that were not taken yet.
    ready: Vec<u8>,
    number: u64,
}

impl Writer {
    /// Begins a container. With a key it is encrypted, for which `salt` must be random; `header.encryption` is filled in.
    pub fn new(mut header: Header, key: Option<(&BackupKey, [u8; SALT_BYTES])>) -> Result<Self, FormatError> {
        header.encryption = key.map(|(key, salt)| seal::describe(key, &salt));
        let ready = header::write(&header)?;
        let encryption = header.encryption.as_ref().zip(key.map(|(key, _)| key));
        Ok(Self {
            seal: Seal::new(&ready, encryption)?,
            tally: Tally::new(),
            pending: Vec::with_capacity(CHUNK_BYTES),
            ready,
            number: 0,
        })
    }

    /// Writes a record: an entry, a token, a file or a commit.
    pub fn push(&mut self, record: &Record) -> Result<(), FormatError> {
        let start = self.pending.len();
        encode(record, &mut self.pending);
        self.tally
            .add(record, self.pending.get(start..).unwrap_or_default());
        // The last chunk is only known at the end, so a full one waits until something follows.
        while self.pending.len() > CHUNK_BYTES {
            let rest = self.pending.split_off(CHUNK_BYTES);
            let chunk = std::mem::replace(&mut self.pending, rest);
            self.chunk(&chunk, false)?;
        }
        Ok(())
    }

    /// The bytes that are ready. Take them often: they are all in memory.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    /// Ends the container; gives its last bytes and what it holds.
    pub fn finish(mut self) -> Result<(Vec<u8>, Totals), FormatError> {
        let totals = self.tally.totals();
        self.push(&Record::End(totals))?;
        let chunk = std::mem::take(&mut self.pending);
        self.chunk(&chunk, true)?;
        Ok((self.ready, totals))
    }

    fn chunk(&mut self, plain: &[u8], is_last: bool) -> Result<(), FormatError> {
        let compressed = zstd::bulk::compress(plain, COMPRESSION_LEVEL);
        let mut sealed = compressed.map_err(|_| FormatError::Malformed("a chunk cannot be compressed"))?;
        let number = self.number;
        self.seal.seal(Place { number, is_last }, &mut sealed)?;
        self.number += 1;
        let length = sealed.len() as u32 | if is_last { LAST } else { 0 };
        self.ready.extend_from_slice(&length.to_be_bytes());
        self.ready.extend_from_slice(&sealed);
        Ok(())
    }
}
