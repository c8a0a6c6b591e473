//! What outlives a restart: which stores, and how far it is.

mod file;

use mainstay_base::Reply;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub use self::file::JournalFile;
use crate::stage::Stage;

/// The format that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;

const FORMAT_NAME: &str = "mainstay-migration format";

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// How it is found again: `embedded`, `${DATABASE_URL}`, a URL without a password. Never a secret.
    pub reference: String,
    /// Which store that is: the same text for the same store, whoever asks. Never a secret.
    pub location: String,
}

/// What is known of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Where everything was at first.
    pub source: Place,
    /// Where everything goes to.
    pub target: Place,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// When this was recorded.
    pub recorded_unix_ms: u64,
    /// How far it is.
    pub stage: Stage,
}

/// Keeps a record. Two adapters: a file, and one in memory for tests.
pub trait Journal: Send + Sync {
    /// The last record; `None` when there never was one.
    fn load(&self) -> Reply<'_, Result<Option<Record>, JournalError>>;

    /// Records, durably and wholly or not at all. After an error it is open which record is there; saving again settles
    /// it. Cancel safe in the same sense.
    fn save<'a>(&'a self, record: &'a Record) -> Reply<'a, Result<(), JournalError>>;
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It is not what was written.
    #[error("the journal of the migration, {0}, is damaged: restore it from a backup of the data directory")]
    Damaged(String),
    /// A newer Mainstay wrote it.
    #[error(
        "the journal of the migration, {0}, has format {1}, and this Mainstay knows {FORMAT}: use the newer one"
    )]
    Newer(String, u32),
    /// The disk does not let us.
    #[error("the journal of the migration, {0}, cannot be used: {1}")]
    Io(String, std::io::Error),
}

impl Record {
    /// The text of a journal: two lines and a checksum.
    fn encode(&self) -> Result<String, serde_json::Error> {
        let body = format!("{FORMAT_NAME} {FORMAT}\n{}\n", serde_json::to_string(self)?);
        Ok(format!("{body}checksum {:016x}\n", xxh3_64(body.as_bytes())))
    }

    /// Reads it; `name` is for errors.
    fn decode(text: &[u8], name: &str) -> Result<Self, JournalError> {
        let damaged = || JournalError::Damaged(name.to_owned());
        let text = std::str::from_utf8(text).map_err(|_| damaged())?;
        let at = text.rfind("checksum ").ok_or_else(damaged)?;
        let (body, end) = text.split_at(at);
        if end != format!("checksum {:016x}\n", xxh3_64(body.as_bytes())) {
            return Err(damaged());
        }
        let (format, record) = body.split_once('\n').ok_or_else(damaged)?;
        let format = format.strip_prefix(FORMAT_NAME).map(str::trim_start);
        let format: u32 = format
            .and_then(|number| number.parse().ok())
            .ok_or_else(damaged)?;
        if format > FORMAT {
            return Err(JournalError::Newer(name.to_owned(), format));
        }
        serde_json::from_str(record).map_err(|_| damaged())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cursor::{Cursor, Hex};

    pub(crate) fn record(stage: Stage) -> Record {
        let place = |reference: &str| Place {
            reference: reference.to_owned(),
            location: format!("{reference} is here"),
        };
        Record {
            source: place("embedded"),
            target: place("${DATABASE_URL}"),
            began_unix_ms: 1,
            recorded_unix_ms: 2,
            stage,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let key = Hex(bytes::Bytes::from_static(b"\0\xFFchecksum "));
        for stage in [
            Stage::Preparing,
            Stage::Copying {
                cursor: Cursor::Entries {
                    from: key.clone(),
                    done: 7,
                },
            },
            Stage::Copying {
                cursor: Cursor::Tokens {
                    after: key.clone(),
                    done: 7,
                },
            },
            Stage::Finished,
        ] {
            let record = record(stage);
            let text = record.encode().unwrap();
            assert_eq!(Record::decode(text.as_bytes(), "x").unwrap(), record);
        }
    }

    #[test]
    fn damage_and_newer_formats_are_told() {
        let text = record(Stage::Moved).encode().unwrap();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = Record::decode(&flipped, "x");
            assert!(matches!(read, Err(JournalError::Damaged(_))), "bit {bit}");
        }
        for length in 0..text.len() {
            assert!(Record::decode(&text.as_bytes()[..length], "x").is_err());
        }
        let body = format!("{FORMAT_NAME} 2\n{{}}\n");
        let newer = format!("{body}checksum {:016x}\n", xxh3_64(body.as_bytes()));
        assert!(matches!(
            Record::decode(newer.as_bytes(), "x"),
            Err(JournalError::Newer(_, 2))
        ));
    }
}
