//! Removing locks that expired and that nobody takes again.

use std::time::Duration;

use mainstay_store::Sweeper;

use super::Stored;
use crate::error::LockError;

/// Locks that are read at once.
const PAGE: usize = 256;

impl Stored {
    /// Removes the locks that have expired, and says how many these were.
    ///
    /// Cancel safe: what was removed stays removed, the rest is found again.
    pub async fn sweep(&self) -> Result<usize, LockError> {
        let (mut swept, mut range) = (0, Some(self.holders.range()));
        while let Some(current) = range {
            let (page, rest) = self.holders.page(current, PAGE).await?;
            for (resource, held) in page {
                // One that was renewed or taken meanwhile is not removed, and not counted.
                if !self.lives(&resource, &held) && self.holders.sweep(&resource, &held).await? {
                    self.sightings.forget(&resource);
                    swept += 1;
                }
            }
            range = rest;
            // Others on this thread wait no longer than one page.
            tokio::task::yield_now().await;
        }
        Ok(swept)
    }

    /// Starts to sweep every `interval`, until the sweeper is stopped or dropped; runs on the present runtime.
    pub fn start_sweeper(&self, interval: Duration) -> Sweeper {
        let locks = self.clone();
        Sweeper::start("expired locks", interval, move || {
            let locks = locks.clone();
            async move {
                match locks.sweep().await {
                    Ok(0) => {}
                    Ok(swept) => tracing::debug!(swept, "removed expired locks"),
                    // They can be taken in any case; the next round tries again.
                    Err(error) => tracing::warn!(%error, "expired locks could not be removed"),
                }
            }
        })
    }
}
