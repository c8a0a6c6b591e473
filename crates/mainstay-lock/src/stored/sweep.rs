//! Removing locks that expired and that nobody takes again.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

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
}

/// Sweeps at an interval until it is stopped or dropped.
#[derive(Debug)]
pub struct Sweeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Starts to sweep `locks` every `interval`, which must not be zero; runs on the present runtime.
    pub fn start(locks: Stored, interval: Duration) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    _ = ticks.tick() => {}
                }
                match locks.sweep().await {
                    Ok(0) => {}
                    Ok(swept) => tracing::debug!(swept, "removed expired locks"),
                    // They can be taken in any case; the next round tries again.
                    Err(error) => tracing::warn!(%error, "expired locks could not be removed"),
                }
            }
        });
        Self { stop, task }
    }

    /// Stops it and waits until a round that is under way has ended.
    pub async fn stop(self) {
        // It is gone already when its runtime was shut down.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!("the sweeper of expired locks has failed");
        }
    }
}
