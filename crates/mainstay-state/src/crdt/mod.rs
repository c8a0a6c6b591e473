//! Values that several nodes change without asking each other, and that are the same everywhere once all changes have
//! been merged (conflict-free replicated data types; Shapiro et al., 2011).
//!
//! Merging is commutative, associative and idempotent: copies may arrive in any order and more than once. Each node
//! changes values under a [`Node`] of its own; one name used by two nodes at the same time loses changes.

mod counter;
mod register;
mod set;

use serde::{Deserialize, Serialize};

pub use self::counter::Counter;
pub use self::register::Register;
pub use self::set::ObservedRemoveSet;

/// Who changes a value. Names are compared as texts where two changes are otherwise equal.
pub type Node = String;

/// A replicated value of any kind, as it is stored: JSON.
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
}

impl Replicated {
    /// Reads the stored form.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidReplicated> {
        serde_json::from_slice(bytes).map_err(|error| InvalidReplicated::Form(error.to_string()))
    }

    /// The stored form.
    pub fn to_vec(&self) -> Result<Vec<u8>, InvalidReplicated> {
        serde_json::to_vec(self).map_err(|error| InvalidReplicated::Form(error.to_string()))
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
