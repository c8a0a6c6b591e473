//! The scripts that run on the server: what they are sent, and what they answer. Pure.

use std::collections::HashMap;

use bytes::Bytes;
use mainstay_redis::redis::{self, Cmd, Value};

use crate::error::StateError;
use crate::listing::ListedKey;
use crate::port::{Etag, Item, Operation, Requirement};
use crate::ttl::TimeToLive;

/// The latest version that was given out. No key of a user is this one: they have one separator at most.
const COUNTER: &str = "||mainstay||version";

/// A script, and the name that the server gives it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

/// An answer that is not one of this script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strange;

impl Script {
    pub(super) fn read() -> Self {
        Self::new(include_str!("read.lua"))
    }

    pub(super) fn list() -> Self {
        Self::new(include_str!("list.lua"))
    }

    pub(super) fn write() -> Self {
        Self::new(include_str!("write.lua"))
    }

    fn new(text: &'static str) -> Self {
        let algorithm = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        let digest = ring::digest::digest(algorithm, text.as_bytes());
        let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            text,
            digest: digest.collect(),
        }
    }

    /// Runs it by its name, or with its text on a server that does not know it yet.
    pub(super) fn command(&self, is_known: bool, arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        let mut command = if is_known {
            let mut command = redis::cmd("EVALSHA");
            command.arg(&self.digest);
            command
        } else {
            let mut command = redis::cmd("EVAL");
            command.arg(self.text);
            command
        };
        arguments(&mut command);
        command
    }
}

/// What the script that reads is given.
pub(super) fn add_keys(keys: &[String], command: &mut Cmd) {
    command.arg(keys.len());
    for key in keys {
        command.arg(key);
    }
}

/// What the script that writes is given. Values of which nothing is said live as long as `time_to_live` says.
pub(super) fn add_operations(operations: &[Operation], time_to_live: TimeToLive, command: &mut Cmd) {
    command.arg(operations.len() + 1).arg(COUNTER);
    for operation in operations {
        command.arg(operation.key());
    }
    let deciding: HashMap<&str, usize> = operations
        .iter()
        .enumerate()
        .map(|(position, operation)| (operation.key(), position))
        .collect();
    for (position, operation) in operations.iter().enumerate() {
        match operation.requirement() {
            Requirement::Nothing => command.arg(""),
            Requirement::Absent => command.arg("-"),
            Requirement::At(etag) => command.arg(etag.as_str()),
        };
        let decides = deciding.get(operation.key()) == Some(&position);
        match operation {
            Operation::Set(set) if decides => {
                let content_type = set.content_type.as_ref().map(|name| format!("={name}"));
                let seconds = set.time_to_live.unwrap_or(time_to_live).as_seconds();
                let left_ms = seconds.map(|seconds| (u64::from(seconds) * 1_000).to_string());
                command
                    .arg("s")
                    .arg(set.value.as_ref())
                    .arg(content_type.unwrap_or_default())
                    .arg(left_ms.unwrap_or_default());
            }
            Operation::Delete(_) if decides => add_without_value("d", command),
            _ => add_without_value("", command),
        }
    }
}

fn add_without_value(action: &str, command: &mut Cmd) {
    command.arg(action).arg("").arg("").arg("");
}

/// What the script that reads found.
pub(super) fn items(
    answer: Value,
    keys: &[String],
) -> Result<Result<Vec<Option<Item>>, StateError>, Strange> {
    let (now_ms, items) = timed(answer, keys)?;
    let mut found = Vec::with_capacity(items.len());
    for (key, item) in keys.iter().zip(items) {
        if item == Value::Nil {
            found.push(None);
            continue;
        }
        let Some(item) = item_of(item, now_ms)? else {
            return Ok(Err(StateError::Unreadable(key.clone())));
        };
        found.push(Some(item));
    }
    Ok(Ok(found))
}

/// What the script that lists found: those of the keys that hold values.
pub(super) fn listed(answer: Value, keys: &[String]) -> Result<Vec<ListedKey>, Strange> {
    let (now_ms, items) = timed(answer, keys)?;
    let mut found = Vec::with_capacity(items.len());
    for (key, item) in keys.iter().zip(items) {
        if item == Value::Nil {
            continue;
        }
        let [size, version, content_type, left] = array(item)?;
        let (Value::Int(bytes), Some(version), Value::Int(left_ms)) = (size, text(version)?, left) else {
            return Err(Strange);
        };
        if let Some(etag) = Etag::new(version) {
            found.push(ListedKey {
                key: key.clone(),
                etag,
                value_bytes: usize::try_from(bytes).map_err(|_| Strange)?,
                content_type: text(content_type)?,
                expires_at_ms: expiry(left_ms, now_ms),
            });
        }
    }
    Ok(found)
}

/// The server's time, and one answer for each key.
fn timed(answer: Value, keys: &[String]) -> Result<(i64, Vec<Value>), Strange> {
    match array(answer)? {
        [Value::Int(now_ms), Value::Array(items)] if items.len() == keys.len() => Ok((now_ms, items)),
        _ => Err(Strange),
    }
}

/// When what has so long to live expires; what is negative stays.
fn expiry(left_ms: i64, now_ms: i64) -> Option<u64> {
    let expires_at_ms = (left_ms >= 0).then(|| now_ms.saturating_add(left_ms))?;
    u64::try_from(expires_at_ms).ok()
}

/// `None` when it is nothing that a state store has written.
fn item_of(value: Value, now_ms: i64) -> Result<Option<Item>, Strange> {
    let [data, version, content_type, left] = array(value)?;
    let (Some(data), Some(version), Value::Int(left_ms)) = (bytes(data)?, text(version)?, left) else {
        return Ok(None);
    };
    let Some(etag) = Etag::new(version) else {
        return Ok(None);
    };
    Ok(Some(Item {
        value: data,
        etag,
        content_type: text(content_type)?,
        expires_at_ms: expiry(left_ms, now_ms),
    }))
}

/// What the script that writes says: whether the operations are done.
pub(super) fn outcome(answer: Value, operations: &[Operation]) -> Result<Result<(), StateError>, Strange> {
    if answer == Value::Nil {
        return Ok(Ok(()));
    }
    let [position, found] = array(answer)?;
    let Value::Int(position) = position else {
        return Err(Strange);
    };
    let operation = usize::try_from(position)
        .ok()
        .and_then(|position| operations.get(position.checked_sub(1)?))
        .ok_or(Strange)?;
    let found = text(found)?.and_then(Etag::new);
    match operation.requirement().check(operation.key(), found.as_ref()) {
        // The script has another opinion.
        Ok(()) => Err(Strange),
        refused => Ok(refused),
    }
}

fn array<const N: usize>(value: Value) -> Result<[Value; N], Strange> {
    let Value::Array(values) = value else {
        return Err(Strange);
    };
    values.try_into().map_err(|_| Strange)
}

fn bytes(value: Value) -> Result<Option<Bytes>, Strange> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(Strange),
    }
}

fn text(value: Value) -> Result<Option<String>, Strange> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| Strange),
        _ => Err(Strange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Delete, Set};

    fn arguments(operations: &[Operation]) -> Vec<String> {
        let mut command = Cmd::new();
        add_operations(operations, TimeToLive::FOREVER, &mut command);
        let arguments = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_owned(),
        });
        arguments.collect()
    }

    #[test]
    fn the_name_of_a_script_is_its_digest() {
        let script = Script::new("return 1");
        assert_eq!(script.digest, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }

    #[test]
    fn only_the_last_operation_on_a_key_writes() {
        let mut first = Set::new("k", "1");
        first.etag = Etag::new("7");
        let operations = [
            Operation::Set(first),
            Operation::Delete(Delete::new("k")),
            Operation::Set(Set::new("l", "2")),
        ];
        let expected = [
            "4", COUNTER, "k", "k", "l", // keys
            "7", "", "", "", "", // superseded, but what it requires counts
            "", "d", "", "", "", //
            "", "s", "2", "", "",
        ];
        assert_eq!(arguments(&operations), expected);
    }

    #[test]
    fn answers_in_another_form_are_strange() {
        let keys = ["k".to_owned()];
        for answer in [
            Value::Nil,
            Value::Int(1),
            Value::Array(vec![Value::Int(1), Value::Array(Vec::new())]),
            Value::Array(vec![Value::Int(1), Value::Array(vec![Value::Int(2)])]),
        ] {
            assert_eq!(items(answer, &keys), Err(Strange));
        }
        let operations = [Operation::Set(Set::new("k", "1"))];
        for answer in [
            Value::Int(1),
            Value::Array(vec![Value::Int(0), Value::Nil]),
            Value::Array(vec![Value::Int(2), Value::Nil]),
            Value::Array(vec![Value::Int(1), Value::Nil]),
        ] {
            assert_eq!(outcome(answer, &operations), Err(Strange));
        }
    }

    #[test]
    fn a_hash_of_somebody_else_is_unreadable() {
        let nothing = || Value::Nil;
        let foreign = Value::Array(vec![nothing(), nothing(), nothing(), Value::Int(-1)]);
        let answer = Value::Array(vec![Value::Int(1), Value::Array(vec![foreign])]);
        let found = items(answer, &["k".to_owned()]).unwrap();
        assert_eq!(found, Err(StateError::Unreadable("k".to_owned())));
    }
}
