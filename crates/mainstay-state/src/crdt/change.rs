//! What a save asks of a value that merges: how it is written, and what it does.

use serde_json::Value;

use super::{Counter, InvalidReplicated, Node, ObservedRemoveSet, Register, Replicated};

/// A change of a value that merges.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds to a counter, or subtracts when it is negative.
    Count(i64),
    /// Writes a register.
    Write(String),
    /// Adds members to a set, each as its JSON text.
    Add(Vec<String>),
    /// Removes members from a set, each as its JSON text.
    Remove(Vec<String>),
}

/// A change that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChange {
    /// There is no such kind of value.
    #[error("`mainstay.crdt` is `{0}`: write counter, register or set")]
    Kind(String),
    /// The kind has no such operation.
    #[error("`mainstay.op` of a {kind} is `{operation}`: write {known}")]
    Operation {
        /// The kind of value.
        kind: &'static str,
        /// What was written.
        operation: String,
        /// What can be written.
        known: &'static str,
    },
    /// What is to be counted is no number.
    #[error(
        "what is added to a counter, or subtracted, has to be a whole number in JSON, less than 2^63 and more than -2^63"
    )]
    Counter,
    /// A register that is no text.
    #[error("what is written to a register has to be UTF-8, such as JSON or plain text")]
    Register,
    /// Members that cannot be any.
    #[error(
        "a member of a set has to be a text, a number, true or false, in JSON; write one of them, or a JSON list of them"
    )]
    Set,
}

/// Who makes changes, and when.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    node: Node,
    /// The wall time in milliseconds since 1970.
    unix_ms: u64,
}

impl Author {
    pub(crate) fn new(node: &str, unix_ms: u64) -> Self {
        Self {
            node: node.to_owned(),
            unix_ms,
        }
    }
}

impl Change {
    /// Reads a change as a save has it: the kind of value (`counter`, `register`, `set`), the operation (`increment` and
    /// `decrement`, `set`, `add` and `remove`; the first one of a kind when absent), and what is saved.
    pub fn read(kind: &str, operation: Option<&str>, value: &[u8]) -> Result<Self, InvalidChange> {
        let unknown = |kind, known| {
            Err(InvalidChange::Operation {
                kind,
                operation: operation.unwrap_or_default().to_owned(),
                known,
            })
        };
        match (kind, operation) {
            ("counter", None | Some("increment")) => number(value).map(Self::Count),
            ("counter", Some("decrement")) => number(value).map(|number| Self::Count(-number)),
            ("counter", Some(_)) => unknown("counter", "increment or decrement"),
            ("register", None | Some("set")) => {
                let text = String::from_utf8(value.to_vec()).map_err(|_| InvalidChange::Register)?;
                Ok(Self::Write(text))
            }
            ("register", Some(_)) => unknown("register", "set"),
            ("set", None | Some("add")) => members(value).map(Self::Add),
            ("set", Some("remove")) => members(value).map(Self::Remove),
            ("set", Some(_)) => unknown("set", "add or remove"),
            _ => Err(InvalidChange::Kind(kind.to_owned())),
        }
    }

    /// Changes a value, or begins one.
    pub(crate) fn apply(
        &self,
        value: Option<Replicated>,
        author: &Author,
    ) -> Result<Replicated, InvalidReplicated> {
        let Author { node, unix_ms } = author;
        let mut value = value.unwrap_or_else(|| self.nothing());
        match (self, &mut value) {
            (Self::Count(by), Replicated::Counter(counter)) => counter.add(node, *by)?,
            (Self::Write(text), Replicated::Register(register)) => register.set(node, text, *unix_ms),
            (Self::Add(members), Replicated::Set(set)) => {
                for member in members {
                    set.add(node, member);
                }
            }
            (Self::Remove(members), Replicated::Set(set)) => {
                for member in members {
                    set.remove(member);
                }
            }
            (_, found) => {
                let (asked, found) = (self.kind(), found.kind());
                return Err(InvalidReplicated::Kind { asked, found });
            }
        }
        Ok(value)
    }

    /// What there is before the first change.
    fn nothing(&self) -> Replicated {
        match self {
            Self::Count(_) => Replicated::Counter(Counter::default()),
            Self::Write(_) => Replicated::Register(Register::default()),
            Self::Add(_) | Self::Remove(_) => Replicated::Set(ObservedRemoveSet::default()),
        }
    }

    /// The kind of value that it changes.
    pub(crate) fn kind(&self) -> &'static str {
        self.nothing().kind()
    }
}

/// Both it and its opposite are numbers of this size.
fn number(value: &[u8]) -> Result<i64, InvalidChange> {
    let number: i64 = serde_json::from_slice(value).map_err(|_| InvalidChange::Counter)?;
    number.checked_neg().ok_or(InvalidChange::Counter)?;
    Ok(number)
}

/// The JSON texts of one member, or of those of a list.
fn members(value: &[u8]) -> Result<Vec<String>, InvalidChange> {
    let members = match serde_json::from_slice(value).map_err(|_| InvalidChange::Set)? {
        Value::Array(members) => members,
        member => vec![member],
    };
    let texts = members.into_iter().map(|member| match member {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(member.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(InvalidChange::Set),
    });
    texts.collect()
}

/// Values are the users', who may have put secrets into them.
impl std::fmt::Debug for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Change").field(&self.kind()).finish()
    }
}
