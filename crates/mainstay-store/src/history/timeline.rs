//! What every key was at every version.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::batch::{Batch, Condition};
use crate::condition::{Census, Present};
use crate::key::{Key, KeyRange, Value};
use crate::port::{Entry, Stored};
use crate::version::Version;

/// The values of all keys over all versions, replayed from the commits.
#[derive(Debug, Default)]
pub(super) struct Timeline(BTreeMap<Key, Vec<(Version, Option<Value>)>>);

impl Timeline {
    /// Commits come in the order of their versions.
    pub(super) fn apply(&mut self, version: Version, batch: &Batch) {
        for (key, value) in batch.resolved(version) {
            self.0.entry(key).or_default().push((version, value.cloned()));
        }
    }

    pub(super) fn stored(&self, key: &Key, at: Version) -> Option<Stored> {
        let (version, value) = latest(self.0.get(key)?, at)?;
        Some(Stored {
            version,
            value: value.clone(),
        })
    }

    pub(super) fn entries(&self, range: &KeyRange, at: Version) -> impl Iterator<Item = Entry> {
        self.histories(range).filter_map(move |(key, history)| {
            let (version, value) = latest(history, at)?;
            Some(Entry {
                key: key.clone(),
                value: value.clone(),
                version,
            })
        })
    }

    /// Versions after which something that `condition` is about was different.
    pub(super) fn changes(&self, condition: &Condition) -> Vec<Version> {
        match condition {
            Condition::KeyAt { key, .. } | Condition::KeyAbsent { key } => {
                let history = self.0.get(key).into_iter().flatten();
                history.map(|(version, _)| *version).collect()
            }
            Condition::RangeUnchanged { range, .. } => {
                let changes = self.histories(range).flat_map(|(_, history)| history);
                changes.map(|(version, _)| *version).collect()
            }
        }
    }

    fn histories(&self, range: &KeyRange) -> impl Iterator<Item = (&Key, &Vec<(Version, Option<Value>)>)> {
        let start = Bound::Included(range.start.as_ref());
        let end = match &range.end {
            _ if range.is_empty() => Bound::Excluded(range.start.as_ref()),
            Some(end) => Bound::Excluded(end.as_ref()),
            None => Bound::Unbounded,
        };
        self.0.range::<[u8], _>((start, end))
    }
}

/// The state after all commits up to a version.
pub(super) struct At<'a>(pub &'a Timeline, pub Version);

impl Present for At<'_> {
    type Error = std::convert::Infallible;

    fn version_of(&self, key: &Key) -> Result<Option<Version>, Self::Error> {
        Ok(self.0.stored(key, self.1).map(|stored| stored.version))
    }

    fn census(&self, range: &KeyRange, since: Version, count: u64) -> Result<Census, Self::Error> {
        let mut census = Census::default();
        for entry in self.0.entries(range, self.1) {
            if census.add(entry.version, since, count) {
                break;
            }
        }
        Ok(census)
    }
}

fn latest(history: &[(Version, Option<Value>)], at: Version) -> Option<(Version, &Value)> {
    let next = history.partition_point(|(version, _)| *version <= at);
    let (version, value) = history.get(next.checked_sub(1)?)?;
    Some((*version, value.as_ref()?))
}
