//! What was changed when by whom, and back again.

use mainstay_store::{Batch, CommitError, Condition, Entry, KeyRange, Scan, Version};
use serde::{Deserialize, Serialize};

use super::change::{Change, Content, MAX_ATTEMPTS, check_author};
use super::{Stored, layout};
use crate::error::ConfigurationError;
use crate::limits::MAX_HISTORY;
use crate::port::check_key;

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The commit, and so the version of the item that it left. Its [`Version::unix_ms`] is when it was made.
    pub version: Version,
    /// Who made it.
    pub by: String,
    /// The change that it took back, if it did.
    pub undoes: Option<Version>,
    /// What the key held before; `None` when it did not exist.
    pub before: Option<Content>,
    /// What it held afterwards; `None` when it was deleted.
    pub after: Option<Content>,
}

/// The stored form, whose version is in its key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
    pub before: Option<Content>,
    pub after: Option<Content>,
}

impl Stored {
    /// The latest changes of `key`, the last one first: [`MAX_HISTORY`] at most. Cancel safe.
    pub async fn history(&self, key: &str) -> Result<Vec<Recorded>, ConfigurationError> {
        check_key(key)?;
        recorded(key, self.past(key).await?.entries)
    }

    /// Makes the last change of `key` backwards, in the name of `by`; with a `version`, only if that is the last change.
    /// That is a change like any other: it is remembered, and undoing it makes the first one again.
    ///
    /// Gives the version of the change that this is.
    ///
    /// Not cancel safe: the change may be made or not.
    pub async fn undo(
        &self,
        key: &str,
        version: Option<Version>,
        by: &str,
    ) -> Result<Version, ConfigurationError> {
        check_key(key)?;
        check_author(by)?;
        for _ in 0..MAX_ATTEMPTS {
            let past = self.past(key).await?;
            let changes = recorded(key, past.entries)?;
            let last = last_change(key, version, &changes)?;
            let back = Change {
                key: key.to_owned(),
                content: last.before.clone(),
            };
            let mut batch = Batch::new();
            batch.require(past.unchanged);
            self.add(&back, by, Some(last.version), &mut batch).await?;
            if batch.writes().is_empty() {
                // The last change left something else than it found, so the key was changed since.
                continue;
            }
            match self.store.commit(batch).await {
                Ok(commit) => return Ok(commit.version),
                // Whether it is still the last change shows when it is decided again.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ConfigurationError::Contended(key.to_owned()))
    }

    /// The history of a key, the last change first.
    pub(super) async fn past(&self, key: &str) -> Result<Past, ConfigurationError> {
        let range = KeyRange::prefix(self.layout.history(key)?.as_bytes().clone());
        let snapshot = self.store.snapshot().await?;
        let (mut entries, mut rest) = (Vec::new(), Some(range.clone()));
        while let Some(current) = rest {
            let page = snapshot.scan(&Scan::new(current).backward()).await?;
            entries.extend(page.entries);
            rest = page.rest;
        }
        let unchanged = Condition::RangeUnchanged {
            range,
            since: snapshot.version(),
            count: entries.len() as u64,
        };
        Ok(Past { entries, unchanged })
    }
}

/// The history of a key at one moment.
pub(super) struct Past {
    /// The last change first. One more than [`MAX_HISTORY`] now and then: two that change an absent key and leave it
    /// absent do not conflict.
    pub entries: Vec<Entry>,
    /// The condition that it is still so.
    pub unchanged: Condition,
}

fn last_change<'a>(
    key: &str,
    version: Option<Version>,
    changes: &'a [Recorded],
) -> Result<&'a Recorded, ConfigurationError> {
    let last = changes.first();
    let last = last.ok_or_else(|| ConfigurationError::NothingToUndo(key.to_owned()))?;
    match version {
        Some(version) if changes.iter().all(|change| change.version != version) => {
            Err(ConfigurationError::NothingToUndo(key.to_owned()))
        }
        Some(version) if version != last.version => Err(ConfigurationError::ChangedSince(key.to_owned())),
        _ => Ok(last),
    }
}

fn recorded(key: &str, entries: Vec<Entry>) -> Result<Vec<Recorded>, ConfigurationError> {
    let changes = entries.into_iter().take(MAX_HISTORY).map(|entry| {
        let line: Record = layout::decode(key, &entry.value)?;
        Ok(Recorded {
            version: entry.version,
            by: line.by,
            undoes: line.undoes.map(Version::from_u64),
            before: line.before,
            after: line.after,
        })
    });
    changes.collect()
}
