//! Whether the conditions of a batch hold: the one rule, whatever the engine.

use crate::batch::{Batch, Condition};
use crate::error::Conflict;
use crate::key::{Key, KeyRange};
use crate::version::Version;

/// What a rule needs to know of an engine's present state.
pub(crate) trait Present {
    type Error;

    /// The version of a key; `None` when it does not exist.
    fn version_of(&self, key: &Key) -> Result<Option<Version>, Self::Error>;

    /// Counts the keys of a range, and finds the latest version among them. May stop as soon as there are more than
    /// `count` keys or one is later than `since`.
    fn census(&self, range: &KeyRange, since: Version, count: u64) -> Result<Census, Self::Error>;
}

/// What is in a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub count: u64,
    pub latest: Option<Version>,
}

impl Census {
    /// Counts one more key; says whether the range has changed for certain.
    pub(crate) fn add(&mut self, version: Version, since: Version, count: u64) -> bool {
        self.count += 1;
        self.latest = self.latest.max(Some(version));
        self.count > count || version > since
    }
}

/// The first condition that does not hold.
pub(crate) fn first_conflict<P: Present>(batch: &Batch, present: &P) -> Result<Option<Conflict>, P::Error> {
    for (position, condition) in batch.conditions().iter().enumerate() {
        let (holds, found) = match condition {
            Condition::KeyAt { key, version } => {
                let found = present.version_of(key)?;
                (found == Some(*version), found)
            }
            Condition::KeyAbsent { key } => {
                let found = present.version_of(key)?;
                (found.is_none(), found)
            }
            Condition::RangeUnchanged { range, since, count } => {
                let census = present.census(range, *since, *count)?;
                let holds = census.count == *count && census.latest.is_none_or(|latest| latest <= *since);
                (holds, census.latest)
            }
        };
        if !holds {
            return Ok(Some(Conflict {
                position,
                condition: condition.clone(),
                found,
            }));
        }
    }
    Ok(None)
}
