//! What steps with merges come to, on the values that are there. Pure: these and the time are inputs.

use std::collections::BTreeMap;

use super::{Author, Change, InvalidReplicated, Replicated, is_marked};
use crate::error::StateError;
use crate::port::{Concurrency, Etag, Item, Operation, Set};

/// Merges something into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Which value, and everything else that a save says; of what it sets nothing is used.
    pub set: Set,
    /// What is merged into it.
    pub change: Change,
}

/// One step of a transaction that may merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A set or a delete, whatever kind of value the key has.
    Plain(Operation),
    /// A merge, into the value that the steps before leave.
    Merge(Merge),
}

/// What a key holds after some of the steps.
enum Holds {
    Nothing,
    Merging(Replicated),
    Plain,
}

/// A key that is merged into.
struct Target<'a> {
    found: Option<Etag>,
    holds: Holds,
    /// The latest merge, and whether a plain step came after it.
    last: Option<(&'a Set, bool)>,
}

/// The operations that do the steps, as long as nobody changes the keys that are merged into; `found` is what these hold.
pub(super) fn operations(
    steps: &[Step],
    found: BTreeMap<&str, Option<Item>>,
    author: &Author,
) -> Result<Vec<Operation>, StateError> {
    let mut targets = BTreeMap::new();
    for (key, item) in found {
        targets.insert(key, Target::new(key, item)?);
    }
    let mut plain = Vec::new();
    for step in steps {
        match step {
            Step::Plain(operation) => {
                if let Some(target) = targets.get_mut(operation.key()) {
                    target.replace(operation)?;
                }
                plain.push(operation.clone());
            }
            Step::Merge(merge) => {
                if let Some(target) = targets.get_mut(merge.set.key.as_str()) {
                    target.merge(merge, author)?;
                }
            }
        }
    }
    // Of several operations on a key the last one decides, and what all of them require holds before the first one.
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for target in targets.into_values() {
        let Some((set, is_replaced)) = target.last else {
            continue;
        };
        let set = Operation::Set(target.set(set)?);
        if is_replaced { &mut before } else { &mut after }.push(set);
    }
    before.append(&mut plain);
    before.append(&mut after);
    Ok(before)
}

impl<'a> Target<'a> {
    fn new(key: &str, item: Option<Item>) -> Result<Self, StateError> {
        let Some(item) = item else {
            return Ok(Self {
                found: None,
                holds: Holds::Nothing,
                last: None,
            });
        };
        let holds = if is_marked(&item.value) {
            let value = Replicated::from_slice(&item.value);
            Holds::Merging(value.map_err(|_| StateError::Unreadable(key.to_owned()))?)
        } else {
            Holds::Plain
        };
        Ok(Self {
            found: Some(item.etag),
            holds,
            last: None,
        })
    }

    fn replace(&mut self, operation: &Operation) -> Result<(), StateError> {
        operation
            .requirement()
            .check(operation.key(), self.found.as_ref())?;
        self.holds = match operation {
            Operation::Set(_) => Holds::Plain,
            Operation::Delete(_) => Holds::Nothing,
        };
        if let Some((_, is_replaced)) = &mut self.last {
            *is_replaced = true;
        }
        Ok(())
    }

    fn merge(&mut self, merge: &'a Merge, author: &Author) -> Result<(), StateError> {
        let Merge { set, change } = merge;
        let refused = |reason| StateError::NotMerged {
            key: set.key.clone(),
            reason,
        };
        set.requirement().check(&set.key, self.found.as_ref())?;
        let value = match std::mem::replace(&mut self.holds, Holds::Plain) {
            Holds::Nothing => None,
            Holds::Merging(value) => Some(value),
            Holds::Plain => return Err(refused(InvalidReplicated::Plain(change.kind()))),
        };
        self.holds = Holds::Merging(change.apply(value, author).map_err(refused)?);
        self.last = Some((set, false));
        Ok(())
    }

    /// Sets what was merged, while the key is as it was found.
    fn set(self, latest: &Set) -> Result<Set, StateError> {
        let mut set = latest.clone();
        if let Holds::Merging(value) = self.holds {
            let value = value.to_vec();
            set.value = value.map_err(|_| StateError::Unreadable(set.key.clone()))?.into();
        }
        set.concurrency = Concurrency::FirstWrite;
        set.etag = self.found;
        Ok(set)
    }
}

impl Step {
    /// The key, with its prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Plain(operation) => operation.key(),
            Self::Merge(merge) => &merge.set.key,
        }
    }
}
