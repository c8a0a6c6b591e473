//! Which batches were committed, and when: answers, tokens and what was seen taken together.

use std::collections::{BTreeMap, HashMap};

use super::check::Violation;
use super::{Action, Operation, Outcome};
use crate::batch::{Batch, Token};
use crate::key::{Key, Value};
use crate::version::Version;

/// A batch that was committed.
pub(super) struct Committed<'a> {
    pub batch: &'a Batch,
    /// When the call began that committed it.
    pub invoked: u64,
    /// When the first answer was there that told of it; `u64::MAX` when none did.
    pub returned: u64,
}

/// All committed batches in their order.
pub(super) type Line<'a> = BTreeMap<Version, Committed<'a>>;

/// Settles every batch.
pub(super) fn settle(operations: &[Operation]) -> Result<Line<'_>, Violation> {
    let mut line = Line::new();
    let mut tokens = HashMap::new();
    for operation in operations {
        add_answer(&mut line, &mut tokens, operation)?;
    }
    let seen = seen(operations);
    for operation in operations {
        let Action::Commit { batch, outcome } = &operation.action else {
            continue;
        };
        if *outcome == Outcome::Unknown {
            settle_unknown(&mut line, &tokens, &seen, operation, batch);
        }
    }
    check_replays(&line, operations)?;
    Ok(line)
}

/// Adds a batch whose commit was answered.
fn add_answer<'a>(
    line: &mut Line<'a>,
    tokens: &mut HashMap<&'a Token, Version>,
    operation: &'a Operation,
) -> Result<(), Violation> {
    let Action::Commit {
        batch,
        outcome: Outcome::Committed(commit),
    } = &operation.action
    else {
        return Ok(());
    };
    if let Some(token) = batch.token() {
        let first = *tokens.entry(token).or_insert(commit.version);
        if first != commit.version {
            return Err(Violation::CommittedTwice {
                token: token.clone(),
                first,
                second: commit.version,
            });
        }
    }
    if commit.replayed {
        return Ok(());
    }
    let committed = Committed {
        batch,
        invoked: operation.invoked,
        returned: operation.returned,
    };
    match line.insert(commit.version, committed) {
        None => Ok(()),
        Some(_) => Err(Violation::VersionTwice(commit.version)),
    }
}

/// Every version of every key that a client saw.
fn seen(operations: &[Operation]) -> HashMap<&Key, BTreeMap<Version, &Value>> {
    let mut seen: HashMap<&Key, BTreeMap<Version, &Value>> = HashMap::new();
    for operation in operations {
        match &operation.action {
            Action::Commit { .. } => {}
            Action::Read { keys, read } => {
                for (key, stored) in keys.iter().zip(&read.values) {
                    if let Some(stored) = stored {
                        seen.entry(key).or_default().insert(stored.version, &stored.value);
                    }
                }
            }
            Action::Scan { page } => {
                for entry in &page.entries {
                    seen.entry(&entry.key)
                        .or_default()
                        .insert(entry.version, &entry.value);
                }
            }
        }
    }
    seen
}

/// Adds a batch whose outcome was not told, if a later answer or something seen proves that it was committed.
fn settle_unknown<'a>(
    line: &mut Line<'a>,
    tokens: &HashMap<&'a Token, Version>,
    seen: &HashMap<&Key, BTreeMap<Version, &Value>>,
    operation: &'a Operation,
    batch: &'a Batch,
) {
    let told = batch.token().and_then(|token| tokens.get(token).copied());
    let Some(version) = told.or_else(|| witnessed(line, seen, batch)) else {
        return;
    };
    // A token that was committed by a later call is in the line already, as that call.
    line.entry(version).or_insert(Committed {
        batch,
        invoked: operation.invoked,
        returned: u64::MAX,
    });
}

/// A version that nobody else committed, at which something was seen that this batch writes.
fn witnessed(
    line: &Line<'_>,
    seen: &HashMap<&Key, BTreeMap<Version, &Value>>,
    batch: &Batch,
) -> Option<Version> {
    let puts = batch.resolved(Version::ZERO);
    puts.filter_map(|(key, value)| Some((seen.get(&key)?, value?)))
        .flat_map(|(versions, value)| {
            let same = versions.iter().filter(move |(_, seen)| **seen == value);
            same.map(|(version, _)| *version)
        })
        .find(|version| !line.contains_key(version))
}

/// An answer that a batch was committed before must be true.
fn check_replays(line: &Line<'_>, operations: &[Operation]) -> Result<(), Violation> {
    for operation in operations {
        let Action::Commit {
            batch,
            outcome: Outcome::Committed(commit),
        } = &operation.action
        else {
            continue;
        };
        let first = line.get(&commit.version).map(|first| first.batch.token());
        if commit.replayed && first != Some(batch.token()) {
            return Err(Violation::Invented {
                version: commit.version,
            });
        }
    }
    Ok(())
}
