//! Changing settings.

use std::collections::HashSet;
use std::fmt;

use mainstay_store::{Batch, CommitError, Version};
use serde::{Deserialize, Serialize};

use super::history::Record;
use super::{Stored, layout};
use crate::error::ConfigurationError;
use crate::limits::{MAX_AUTHOR_BYTES, MAX_CHANGES, MAX_HISTORY, MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use crate::port::{Metadata, check_key};

/// How often a change is decided anew because others changed the same keys meanwhile.
pub(super) const MAX_ATTEMPTS: usize = 16;

/// What a key is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its new content; `None` deletes it.
    pub content: Option<Content>,
}

/// What a key holds.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The value.
    pub value: String,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Change {
    /// Gives `key` a value, without metadata.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        let content = Content {
            value: value.into(),
            metadata: Metadata::new(),
        };
        Self {
            key: key.into(),
            content: Some(content),
        }
    }

    /// Removes `key`.
    pub fn delete(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            content: None,
        }
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        check_key(&self.key)?;
        let Some(content) = &self.content else {
            return Ok(());
        };
        let key = || self.key.clone();
        if content.value.len() > MAX_VALUE_BYTES {
            let bytes = content.value.len();
            return Err(ConfigurationError::LargeValue { key: key(), bytes });
        }
        let metadata = content.metadata.iter();
        let bytes = metadata.map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_METADATA_BYTES {
            return Err(ConfigurationError::LargeMetadata { key: key(), bytes });
        }
        Ok(())
    }
}

impl Stored {
    /// Makes all changes or none, in the name of `by`, and remembers them. Gives the version of what was changed; `None`
    /// when everything was so already, which is no change.
    ///
    /// Not cancel safe: a change may be made or not.
    pub async fn change(&self, changes: &[Change], by: &str) -> Result<Option<Version>, ConfigurationError> {
        check_author(by)?;
        if changes.len() > MAX_CHANGES {
            return Err(ConfigurationError::TooManyChanges(changes.len()));
        }
        let mut keys = HashSet::new();
        for change in changes {
            change.check()?;
            if !keys.insert(&change.key) {
                return Err(ConfigurationError::ChangedTwice(change.key.clone()));
            }
        }
        for _ in 0..MAX_ATTEMPTS {
            let mut batch = Batch::new();
            for change in changes {
                self.add(change, by, None, &mut batch).await?;
            }
            if batch.writes().is_empty() {
                return Ok(None);
            }
            match self.store.commit(batch).await {
                Ok(commit) => return Ok(Some(commit.version)),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).take(3).collect();
        Err(ConfigurationError::Contended(keys.join(", ")))
    }

    /// Adds a change to a batch, with its line in the history; nothing when the key holds that already.
    pub(super) async fn add(
        &self,
        change: &Change,
        by: &str,
        undoes: Option<Version>,
        batch: &mut Batch,
    ) -> Result<(), ConfigurationError> {
        let Change { key, content } = change;
        let record = self.layout.record(key)?;
        let read = self.store.read(std::slice::from_ref(&record)).await?;
        let found = read.values.into_iter().next().flatten();
        batch.require_version(record.clone(), found.as_ref().map(|stored| stored.version));
        let before: Option<Content> = match &found {
            Some(stored) => Some(layout::decode(key, &stored.value)?),
            None => None,
        };
        if before == *content {
            return Ok(());
        }
        match content {
            Some(content) => batch.put(record, layout::encode(key, content)?),
            None => batch.delete(record),
        };
        let line = Record {
            by: by.to_owned(),
            undoes: undoes.map(Version::as_u64),
            before,
            after: content.clone(),
        };
        batch.append(self.layout.history(key)?, layout::encode(key, &line)?);
        let past = self.past(key).await?.entries;
        let superfluous = (past.len() + 1).saturating_sub(MAX_HISTORY);
        for entry in past.into_iter().rev().take(superfluous) {
            batch.delete(entry.key);
        }
        Ok(())
    }
}

pub(super) fn check_author(by: &str) -> Result<(), ConfigurationError> {
    match by.len() {
        1..=MAX_AUTHOR_BYTES => Ok(()),
        length => Err(ConfigurationError::InvalidAuthor(length)),
    }
}

/// As for [`Item`](crate::Item).
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.value.len())
    }
}
