//! Removing what has expired.

use std::collections::HashSet;
use std::time::Duration;

use mainstay_store::{Batch, CommitError, Condition, Entry, Key, Scan, Sweeper};

use super::{Stored, layout, plan};
use crate::error::StateError;

/// Lines of the index that one commit removes at most.
const LINES_PER_COMMIT: usize = 512;

/// Commits of one round at most; the rest waits for the next one.
const COMMITS_PER_ROUND: usize = 64;

/// What a round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Values that had expired.
    pub values: usize,
    /// Lines of the index that said nothing any more, because their value was replaced or deleted.
    pub stale: usize,
}

impl Stored {
    /// Removes what has expired by now, as much of it as one round may.
    ///
    /// Cancel safe: what was removed stays removed, the rest is found again.
    pub async fn sweep(&self) -> Result<Swept, StateError> {
        let due = self.layout.due(self.wall_clock.unix_ms());
        let mut total = Swept::default();
        // Keys that others change right now: they are left to the next round.
        let mut busy = HashSet::new();
        let mut range = Some(due);
        for _ in 0..COMMITS_PER_ROUND {
            let Some(current) = range.take() else { break };
            let page = self
                .store
                .scan(&Scan::new(current.clone()).limit(LINES_PER_COMMIT))
                .await?;
            let (batch, swept) = self.removal(&page.entries, &busy).await?;
            if batch.writes().is_empty() {
                range = page.rest;
                continue;
            }
            match self.store.commit(batch).await {
                Ok(_) => {
                    total.values += swept.values;
                    total.stale += swept.stale;
                    range = page.rest;
                }
                Err(CommitError::Conflict(conflict)) => {
                    if let Condition::KeyAt { key, .. } | Condition::KeyAbsent { key } = conflict.condition {
                        busy.insert(key);
                    }
                    range = Some(current);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(total)
    }

    /// Starts to sweep every `interval`, until the sweeper is stopped or dropped; runs on the present runtime.
    pub fn start_sweeper(&self, interval: Duration) -> Sweeper {
        let state = self.clone();
        Sweeper::start("expired state", interval, move || {
            let state = state.clone();
            async move { tell(state.sweep().await) }
        })
    }

    /// Removes the lines, and the values that they are right about, if nobody changes either meanwhile.
    async fn removal(&self, lines: &[Entry], busy: &HashSet<Key>) -> Result<(Batch, Swept), StateError> {
        let mut due = Vec::with_capacity(lines.len());
        for line in lines {
            // Nobody else writes here; a line in another form is not ours to remove.
            if let Some((expires_at_ms, name)) = self.layout.parse_expiry(&line.key) {
                let record = self.layout.record(&name)?;
                if !busy.contains(&line.key) && !busy.contains(&record) {
                    due.push((line, expires_at_ms, name));
                }
            }
        }
        let names: Vec<&str> = due.iter().map(|(_, _, name)| name.as_str()).collect();
        let keys = self.record_keys(&names)?;
        let read = self.store.read(&keys).await?;
        let (mut batch, mut swept) = (Batch::new(), Swept::default());
        for (((line, expires_at_ms, name), record), stored) in due.iter().zip(keys).zip(read.values) {
            // What cannot be read, such as a record of a newer version, is left alone and holds up nothing else.
            let Ok(item) = stored.map(|stored| layout::decode(name, stored)).transpose() else {
                continue;
            };
            batch.require_version(line.key.clone(), Some(line.version));
            batch.delete(line.key.clone());
            match item.filter(|item| item.expires_at_ms == Some(*expires_at_ms)) {
                Some(item) => {
                    batch.require_version(record.clone(), plan::version(&item.etag));
                    batch.delete(record);
                    swept.values += 1;
                }
                None => swept.stale += 1,
            }
        }
        Ok((batch, swept))
    }
}

/// What a round did, or why not.
pub(crate) fn tell(round: Result<Swept, StateError>) {
    match round {
        Ok(swept) if swept == Swept::default() => {}
        Ok(Swept { values, stale }) => tracing::debug!(values, stale, "removed expired state"),
        // What has expired is not shown in any case; the next round tries again.
        Err(error) => tracing::warn!(%error, "expired state could not be removed"),
    }
}
