//! A task that hears what an engine tells, for a subscription that looks when it has time.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::limits::MAX_KEYS;

/// How long to wait before the next attempt to connect: doubled after each, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Which keys may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    Keys(BTreeSet<String>),
    Anything,
}

impl Touched {
    pub(crate) fn key(key: impl Into<String>) -> Self {
        Self::Keys(BTreeSet::from([key.into()]))
    }

    /// Both; where there are more than a read may name, anything.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keys(mut keys), Self::Keys(more)) => {
                keys.extend(more);
                if keys.len() > MAX_KEYS {
                    Self::Anything
                } else {
                    Self::Keys(keys)
                }
            }
            _ => Self::Anything,
        }
    }
}

/// What was touched and not looked at yet: one slot, however much comes.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    slot: Mutex<Option<Touched>>,
    filled: Notify,
}

impl Pending {
    pub(crate) fn add(&self, touched: Touched) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(match slot.take() {
            Some(before) => before.and(touched),
            None => touched,
        });
        self.filled.notify_one();
    }

    /// Waits until there is something. For one at a time; cancel safe.
    async fn take(&self) -> Touched {
        loop {
            let touched = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            match touched {
                Some(touched) => return touched,
                None => self.filled.notified().await,
            }
        }
    }
}

/// The task. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pending: Arc<Pending>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts a task that adds what it hears.
    pub(crate) fn start<F>(hear: impl FnOnce(Arc<Pending>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let pending = Arc::new(Pending::default());
        let task = tokio::spawn(hear(pending.clone()));
        Self { pending, task }
    }

    /// Waits until keys may have changed. Cancel safe.
    pub(crate) async fn heard(&self) -> Touched {
        self.pending.take().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects again, however long that takes. What happened meanwhile was not heard.
pub(crate) async fn reconnect<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    engine: &str,
    mut connect: impl FnMut() -> F,
) -> T {
    tracing::warn!("changes of configuration on {engine} cannot be heard: the connection has ended");
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match connect().await {
            Ok(connected) => {
                tracing::info!("changes of configuration on {engine} can be heard again");
                return connected;
            }
            Err(error) => {
                tracing::debug!(%error, "changes of configuration on {engine} still cannot be heard");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: impl IntoIterator<Item = u32>) -> Touched {
        Touched::Keys(names.into_iter().map(|name| name.to_string()).collect())
    }

    #[tokio::test]
    async fn what_is_not_taken_is_put_together() {
        let pending = Pending::default();
        pending.add(keys([1, 2]));
        pending.add(keys([2, 3]));
        assert_eq!(pending.take().await, keys([1, 2, 3]));
        pending.add(Touched::Anything);
        pending.add(keys([1]));
        assert_eq!(pending.take().await, Touched::Anything);
    }

    #[tokio::test]
    async fn the_slot_is_bounded() {
        let pending = Pending::default();
        for key in 0..2_000 {
            pending.add(keys([key]));
        }
        assert_eq!(pending.take().await, Touched::Anything);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let pending = Pending::default();
        let (touched, ()) = tokio::join!(pending.take(), async { pending.add(keys([1])) });
        assert_eq!(touched, keys([1]));
    }
}
