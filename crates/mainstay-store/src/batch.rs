//! What is committed together: conditions and writes.

use std::collections::HashSet;

use bytes::Bytes;

use crate::key::{AppendPrefix, Key, KeyRange, Value};
use crate::limits::{
    APPEND_SUFFIX_BYTES, MAX_BATCH_BYTES, MAX_BATCH_CONDITIONS, MAX_BATCH_WRITES, MAX_TOKEN_BYTES,
};
use crate::version::Version;

/// Conditions and writes that take effect together or not at all. Layers add their part; one of them commits it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    conditions: Vec<Condition>,
    writes: Vec<Write>,
    appends: u16,
    token: Option<Token>,
}

/// What must hold at the moment of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The key exists, and this commit wrote it.
    KeyAt {
        /// The key.
        key: Key,
        /// The version that a read gave for it.
        version: Version,
    },
    /// The key does not exist.
    KeyAbsent {
        /// The key.
        key: Key,
    },
    /// The range holds the same keys at the same versions as in a snapshot.
    ///
    /// `count` keys with no version above `since` are the same keys at the same versions: a key that was rewritten has a
    /// later version, a key that came has one too, and a key that went is missing from the count. So an adapter needs no
    /// history to check it. [`Page::unchanged`](crate::Page::unchanged) makes it from a scan.
    RangeUnchanged {
        /// The range.
        range: KeyRange,
        /// The version of the snapshot.
        since: Version,
        /// How many keys the range held in the snapshot.
        count: u64,
    },
}

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The key gets this value, whether or not it had one.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// The key goes, if it existed.
    Delete {
        /// The key.
        key: Key,
    },
    /// A new entry at the end of a log, see [`Key::appended`].
    Append {
        /// The log.
        prefix: AppendPrefix,
        /// The entry.
        value: Value,
    },
}

/// Names one attempt to commit something, so that repeating it is harmless: 1 to [`MAX_TOKEN_BYTES`] bytes, chosen by
/// the caller, unique among everything that is committed. It belongs to one batch: a store that knows the token answers
/// without looking at what else is in the batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token(Bytes);

/// Why a batch cannot be committed by any store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// Nothing to write.
    #[error("the batch writes nothing: add a put, a delete or an append")]
    Empty,
    /// So many writes.
    #[error("the batch has {0} writes: {MAX_BATCH_WRITES} at most")]
    TooManyWrites(usize),
    /// So many conditions.
    #[error("the batch has {0} conditions: {MAX_BATCH_CONDITIONS} at most")]
    TooManyConditions(usize),
    /// So many bytes.
    #[error("the batch writes {0} bytes: {MAX_BATCH_BYTES} at most")]
    TooLarge(usize),
    /// Two writes to this key.
    #[error("the batch writes the key {0:?} twice: which one is meant?")]
    WrittenTwice(Key),
    /// A token of so many bytes.
    #[error("the idempotency token has {0} bytes: it needs 1 to {MAX_TOKEN_BYTES}")]
    TokenSize(usize),
}

impl Token {
    /// The token with these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, InvalidBatch> {
        let bytes = bytes.into();
        if (1..=MAX_TOKEN_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidBatch::TokenSize(bytes.len()))
        }
    }

    /// A token that a store gives back, which was valid when it went in.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Batch {
    /// A batch that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits only if `condition` holds.
    pub fn require(&mut self, condition: Condition) -> &mut Self {
        self.conditions.push(condition);
        self
    }

    /// Commits only if `key` still has the `version` that a read gave, or, without one, still does not exist.
    pub fn require_version(&mut self, key: Key, version: Option<Version>) -> &mut Self {
        self.require(match version {
            Some(version) => Condition::KeyAt { key, version },
            None => Condition::KeyAbsent { key },
        })
    }

    /// Gives `key` a value.
    pub fn put(&mut self, key: Key, value: Value) -> &mut Self {
        self.writes.push(Write::Put { key, value });
        self
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.writes.push(Write::Delete { key });
        self
    }

    /// Adds an entry to the end of a log. Gives its position among the appends of this batch, which with the version of
    /// the commit makes its key: see [`Key::appended`].
    pub fn append(&mut self, prefix: AppendPrefix, value: Value) -> u16 {
        let position = self.appends;
        // A batch with more appends than a position can count is refused as a whole.
        self.appends = self.appends.saturating_add(1);
        self.writes.push(Write::Append { prefix, value });
        position
    }

    /// Makes it safe to commit this batch again when the outcome is unknown.
    pub fn set_token(&mut self, token: Token) -> &mut Self {
        self.token = Some(token);
        self
    }

    /// What must hold.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// What changes.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The idempotency token.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Bytes of keys and values that it writes.
    pub fn size_bytes(&self) -> usize {
        self.writes.iter().map(Write::size_bytes).sum()
    }

    /// Whether any store may take it. Every adapter asks this first.
    pub fn check(&self) -> Result<(), InvalidBatch> {
        if self.writes.is_empty() {
            return Err(InvalidBatch::Empty);
        }
        if self.writes.len() > MAX_BATCH_WRITES {
            return Err(InvalidBatch::TooManyWrites(self.writes.len()));
        }
        if self.conditions.len() > MAX_BATCH_CONDITIONS {
            return Err(InvalidBatch::TooManyConditions(self.conditions.len()));
        }
        let size = self.size_bytes();
        if size > MAX_BATCH_BYTES {
            return Err(InvalidBatch::TooLarge(size));
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), InvalidBatch> {
        if self.writes.len() < 2 {
            return Ok(());
        }
        let mut seen = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            if let Write::Put { key, .. } | Write::Delete { key } = write
                && !seen.insert(key)
            {
                return Err(InvalidBatch::WrittenTwice(key.clone()));
            }
        }
        Ok(())
    }

    /// Each write with the key it has when the batch commits at `version`, and the value it leaves there.
    pub fn resolved(&self, version: Version) -> impl Iterator<Item = (Key, Option<&Value>)> {
        let mut appends = 0_u16;
        self.writes.iter().map(move |write| match write {
            Write::Put { key, value } => (key.clone(), Some(value)),
            Write::Delete { key } => (key.clone(), None),
            Write::Append { prefix, value } => {
                let key = Key::appended(prefix, version, appends);
                appends = appends.saturating_add(1);
                (key, Some(value))
            }
        })
    }
}

impl Write {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Put { key, value } => key.as_ref().len() + value.as_ref().len(),
            Self::Delete { key } => key.as_ref().len(),
            Self::Append { prefix, value } => {
                prefix.as_bytes().len() + APPEND_SUFFIX_BYTES + value.as_ref().len()
            }
        }
    }
}

#[cfg(test)]
mod tests;
