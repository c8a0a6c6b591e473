//! What a container says, one after another.
//!
//! ```text
//! kind, 1 byte │ length of what follows, 4 bytes │ …
//! ```

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use mainstay_store::limits::{MAX_BATCH_BYTES, MAX_BATCH_WRITES};
use mainstay_store::{Committed, Entry, Key, Token, Value, Version};
use xxhash_rust::xxh3::Xxh3;

use super::error::FormatError;

/// Largest file beside the store.
pub const MAX_FILE_BYTES: usize = 1_024 * 1_024;

/// Before the content of a record.
const HEAD_BYTES: usize = 5;

/// Largest content: the largest commit, whose writes need up to 16 bytes more each.
const MAX_RECORD_BYTES: usize = MAX_BATCH_BYTES + 16 * MAX_BATCH_WRITES + 1_024;

/// The length of a value that is gone.
const GONE: u32 = u32::MAX;

const BEGIN: u8 = 0;
const ENTRY: u8 = 1;
const TOKEN: u8 = 2;
const FILE: u8 = 3;
const COMMIT: u8 = 4;
const END: u8 = 5;
const FAILED: u8 = 6;

/// One thing of a container, or of a store on its way to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A store follows as it was at this version. Only on the way to a container, whose header says it.
    Begin {
        /// The version.
        at: Version,
    },
    /// A key.
    Entry(Entry),
    /// A token and the commit that used it.
    Token(Token, Version),
    /// Something that the data need and that is not in the store.
    File(File),
    /// What one commit did.
    Commit(Committed),
    /// Nothing follows.
    End(Totals),
    /// Nothing follows, because the store could not be read any further. Only on the way to a container.
    Failed(String),
}

/// A file that the data need.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the data directory.
    pub name: String,
    /// Its content. It may be secret.
    pub content: Bytes,
}

impl std::fmt::Debug for File {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "File({}, {} bytes)", self.name, self.content.len())
    }
}

/// What a container held, all in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Keys.
    pub entries: u64,
    /// Tokens.
    pub tokens: u64,
    /// Files.
    pub files: u64,
    /// Commits.
    pub commits: u64,
    /// Bytes of keys and values, those of commits too.
    pub content_bytes: u64,
    /// XXH3 of all records before this one, 128 bits.
    pub checksum: u128,
}

/// Counts records and keeps their checksum.
#[derive(Clone)]
pub(crate) struct Tally {
    totals: Totals,
    hash: Xxh3,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            totals: Totals::default(),
            hash: Xxh3::new(),
        }
    }

    /// Counts a record, whose bytes are these.
    pub(crate) fn add(&mut self, record: &Record, bytes: &[u8]) {
        self.hash.update(bytes);
        let totals = &mut self.totals;
        match record {
            Record::Entry(entry) => {
                totals.entries += 1;
                totals.content_bytes += (entry.key.as_ref().len() + entry.value.as_ref().len()) as u64;
            }
            Record::Token(..) => totals.tokens += 1,
            Record::File(_) => totals.files += 1,
            Record::Commit(commit) => {
                totals.commits += 1;
                totals.content_bytes += commit.size_bytes() as u64;
            }
            Record::Begin { .. } | Record::End(_) | Record::Failed(_) => {}
        }
    }

    /// What was counted so far.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            checksum: self.hash.digest128(),
            ..self.totals
        }
    }
}

/// Writes a record.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    let start = into.len();
    into.put_u8(kind(record));
    into.put_u32(0);
    match record {
        Record::Begin { at } => into.put_u64(at.as_u64()),
        Record::Entry(entry) => {
            into.put_u64(entry.version.as_u64());
            put_key(into, &entry.key);
            into.put_slice(entry.value.as_ref());
        }
        Record::Token(token, version) => {
            into.put_u64(version.as_u64());
            into.put_slice(token.as_bytes());
        }
        Record::File(file) => {
            into.put_u16(file.name.len() as u16);
            into.put_slice(file.name.as_bytes());
            into.put_slice(&file.content);
        }
        Record::Commit(commit) => put_commit(into, commit),
        Record::End(totals) => {
            for count in [
                totals.entries,
                totals.tokens,
                totals.files,
                totals.commits,
                totals.content_bytes,
            ] {
                into.put_u64(count);
            }
            into.put_u128(totals.checksum);
        }
        Record::Failed(reason) => into.put_slice(reason.as_bytes()),
    }
    let length = (into.len() - start - HEAD_BYTES) as u32;
    if let Some(place) = into.get_mut(start + 1..).and_then(<[u8]>::first_chunk_mut) {
        *place = length.to_be_bytes();
    }
}

const fn kind(record: &Record) -> u8 {
    match record {
        Record::Begin { .. } => BEGIN,
        Record::Entry(_) => ENTRY,
        Record::Token(..) => TOKEN,
        Record::File(_) => FILE,
        Record::Commit(_) => COMMIT,
        Record::End(_) => END,
        Record::Failed(_) => FAILED,
    }
}

fn put_key(into: &mut Vec<u8>, key: &Key) {
    // A key has 1 KiB at most.
    into.put_u16(key.as_ref().len() as u16);
    into.put_slice(key.as_ref());
}

fn put_commit(into: &mut Vec<u8>, commit: &Committed) {
    into.put_u64(commit.version.as_u64());
    // A token has 1 to 64 bytes; 0 stands for none.
    let token = commit.token.as_ref().map_or(&[][..], |token| token.as_bytes());
    into.put_u8(token.len() as u8);
    into.put_slice(token);
    into.put_u32(commit.writes.len() as u32);
    for (key, value) in &commit.writes {
        put_key(into, key);
        match value {
            None => into.put_u32(GONE),
            Some(value) => {
                into.put_u32(value.as_ref().len() as u32);
                into.put_slice(value.as_ref());
            }
        }
    }
}

/// Reads records from bytes that come in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Takes a piece.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether nothing is left over.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next record, and its bytes; `None` while more are needed.
    pub fn pull(&mut self) -> Result<Option<(Record, Bytes)>, FormatError> {
        let Some(([kind, length @ ..], rest)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let (kind, length) = (*kind, u32::from_be_bytes(*length) as usize);
        if length > MAX_RECORD_BYTES {
            return Err(FormatError::Malformed("a record is too long"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let bytes = self.buffer.split_to(HEAD_BYTES + length).freeze();
        let mut content = Content(bytes.slice(HEAD_BYTES..));
        let record = content
            .record(kind)
            .ok_or(FormatError::Malformed("a record has another form"))?;
        Ok(Some((record, bytes)))
    }
}

/// The content of one record. Every method gives `None` when it is not what it should be.
struct Content(Bytes);

impl Content {
    fn record(&mut self, kind: u8) -> Option<Record> {
        let record = match kind {
            BEGIN => Record::Begin { at: self.version()? },
            ENTRY => Record::Entry(Entry {
                version: self.version()?,
                key: self.key()?,
                value: Value::new(self.rest()).ok()?,
            }),
            TOKEN => {
                let version = self.version()?;
                Record::Token(Token::new(self.rest()).ok()?, version)
            }
            FILE => {
                let length = self.0.try_get_u16().ok()?;
                let name = Self(self.take(length.into())?).text()?;
                let content = self.rest();
                (content.len() <= MAX_FILE_BYTES).then_some(())?;
                Record::File(File { name, content })
            }
            COMMIT => Record::Commit(self.commit()?),
            END => Record::End(Totals {
                entries: self.0.try_get_u64().ok()?,
                tokens: self.0.try_get_u64().ok()?,
                files: self.0.try_get_u64().ok()?,
                commits: self.0.try_get_u64().ok()?,
                content_bytes: self.0.try_get_u64().ok()?,
                checksum: self.0.try_get_u128().ok()?,
            }),
            FAILED => Record::Failed(self.text()?),
            _ => return None,
        };
        self.0.is_empty().then_some(record)
    }

    fn commit(&mut self) -> Option<Committed> {
        let version = self.version()?;
        let length = self.0.try_get_u8().ok()?;
        let token = match length {
            0 => None,
            length => Some(Token::new(self.take(length.into())?).ok()?),
        };
        let count = self.0.try_get_u32().ok()? as usize;
        (count <= MAX_BATCH_WRITES).then_some(())?;
        let mut writes = Vec::with_capacity(count);
        for _ in 0..count {
            let key = self.key()?;
            let value = match self.0.try_get_u32().ok()? {
                GONE => None,
                length => Some(Value::new(self.take(length as usize)?).ok()?),
            };
            writes.push((key, value));
        }
        Some(Committed {
            version,
            writes,
            token,
        })
    }

    fn version(&mut self) -> Option<Version> {
        self.0.try_get_u64().ok().map(Version::from_u64)
    }

    fn key(&mut self) -> Option<Key> {
        let length = self.0.try_get_u16().ok()?;
        Key::new(self.take(length.into())?).ok()
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.rest().to_vec()).ok()
    }
}
