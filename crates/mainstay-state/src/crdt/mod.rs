//! Values that several nodes change without asking each other, and that are the same everywhere once all changes have
//! been merged (conflict-free replicated data types; Shapiro et al., 2011).
//!
//! Merging is commutative, associative and idempotent: copies may arrive in any order and more than once. Each node
//! changes values under a [`Node`] of its own; one name used by two nodes at the same time loses changes.

//!
//! ```text
//!   Merge  what a save asks for: add to a counter, remove from a set …
//!     v
//!   Merging  reads the value, merges, sets it while nobody else has     one component below, whichever it is
//!     ^
//!   get, query  the value as its users write it: a number, a list, …
//! ```

mod change;
mod counter;
mod merging;
mod plan;
mod register;
mod set;
mod turns;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use self::change::Author;
pub use self::change::{Change, InvalidChange};
pub use self::counter::Counter;
pub use self::merging::Merging;
pub use self::plan::{Merge, Step};
pub use self::register::Register;
pub use self::set::ObservedRemoveSet;

/// Who changes a value. Names are compared as texts where two changes are otherwise equal.
pub type Node = String;

/// Stands before the stored form, and never before what a user writes: see [`StateError::Marked`](crate::StateError).
const MARK: &[u8] = b"\0mainstay crdt 1\0";

/// A replicated value of any kind, as it is stored: JSON after a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "crdt", rename_all = "snake_case", deny_unknown_fields)]
pub enum Replicated {
    /// A number that nodes add to.
    Counter(Counter),
    /// A value of which the last one written stays.
    Register(Register),
    /// A set of texts.
    Set(ObservedRemoveSet),
}

/// Why two copies cannot be merged, or bytes are no copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplicated {
    /// Values of different kinds.
    #[error("a {0} and a {1} cannot be merged: the key holds different kinds of values on two nodes")]
    Kinds(&'static str, &'static str),
    /// Not the stored form.
    #[error("the value is no replicated one: {0}")]
    Form(String),
    /// A change of a kind that the value is not of.
    #[error("it is a {found}, and no {asked}")]
    Kind {
        /// The kind of the change.
        asked: &'static str,
        /// The kind of the value.
        found: &'static str,
    },
    /// A change of a value that does not merge.
    #[error("it is a plain value, and no {0}: delete it first, or use another key")]
    Plain(&'static str),
    /// More than a counter counts.
    #[error("the counter is full: each node adds less than 2^64 to it, and subtracts less than that")]
    Overflow,
}

/// Whether a value is a replicated one, as it is stored.
pub(crate) fn is_marked(value: &[u8]) -> bool {
    value.starts_with(MARK)
}

/// A value as its users write it; one that does not merge is that already.
pub(crate) fn plain(value: Bytes) -> Result<Bytes, InvalidReplicated> {
    if is_marked(&value) {
        Ok(Replicated::from_slice(&value)?.plain())
    } else {
        Ok(value)
    }
}

impl Replicated {
    /// Reads the stored form.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidReplicated> {
        let Some(text) = bytes.strip_prefix(MARK) else {
            return Err(InvalidReplicated::Form("it is a plain value".to_owned()));
        };
        serde_json::from_slice(text).map_err(|error| InvalidReplicated::Form(error.to_string()))
    }

    /// The stored form.
    pub fn to_vec(&self) -> Result<Vec<u8>, InvalidReplicated> {
        let mut bytes = MARK.to_vec();
        serde_json::to_writer(&mut bytes, self)
            .map_err(|error| InvalidReplicated::Form(error.to_string()))?;
        Ok(bytes)
    }

    /// The value as its users write it: a number, what was set, or a JSON list in the order of its members' texts.
    pub fn plain(&self) -> Bytes {
        match self {
            Self::Counter(counter) => counter.value().to_string().into(),
            Self::Register(register) => register.value().unwrap_or_default().to_owned().into(),
            Self::Set(set) => {
                let members: Vec<&str> = set.iter().collect();
                format!("[{}]", members.join(",")).into()
            }
        }
    }

    /// Takes over what `other`, a copy of the same value, knows.
    pub fn merge(&mut self, other: &Self) -> Result<(), InvalidReplicated> {
        match (self, other) {
            (Self::Counter(ours), Self::Counter(theirs)) => ours.merge(theirs),
            (Self::Register(ours), Self::Register(theirs)) => ours.merge(theirs),
            (Self::Set(ours), Self::Set(theirs)) => ours.merge(theirs),
            (ours, theirs) => return Err(InvalidReplicated::Kinds(ours.kind(), theirs.kind())),
        }
        Ok(())
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Register(_) => "register",
            Self::Set(_) => "set",
        }
    }
}

#[cfg(test)]
mod tests;
