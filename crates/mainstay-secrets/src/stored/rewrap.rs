//! Exchanging the key.

use mainstay_store::{Batch, CommitError, Scan};

use super::{Stored, record};
use crate::error::SecretsError;

/// Secrets that are read at once: a page of the store holds as many of the largest.
const PAGE: usize = 16;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Secrets that are under the first key now and were not before.
    pub done: usize,
    /// Secrets that others changed meanwhile: they are under the first key of whoever changed them.
    pub changed: usize,
}

impl Stored {
    /// Wraps the data keys of all secrets with the first key of the ring, where it is not so already. Afterwards the old keys
    /// are not needed any more. The secrets keep their versions, and are not opened.
    ///
    /// Not cancel safe in the strict sense, but harmless: what was done stays done, the rest is done by the next call.
    pub async fn rewrap(&self) -> Result<Rewrapped, SecretsError> {
        let mut total = Rewrapped::default();
        let mut range = Some(self.range());
        while let Some(current) = range {
            let page = self.store.scan(&Scan::new(current).limit(PAGE)).await?;
            for entry in &page.entries {
                let (name, version, sealed) = self.parse(entry)?;
                let Some(wrapped) = self.keys.rewrap(&self.context(&name), &sealed)? else {
                    continue;
                };
                let mut batch = Batch::new();
                batch.require_version(entry.key.clone(), Some(entry.version));
                batch.put(entry.key.clone(), record(&name, version, &wrapped)?);
                match self.store.commit(batch).await {
                    Ok(_) => total.done += 1,
                    Err(CommitError::Conflict(_)) => total.changed += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            range = page.rest;
        }
        Ok(total)
    }
}
