//! Waiting for changes under a prefix, and hearing of which keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Elsewhere;
use crate::error::Closed;
use crate::version::Version;

/// Most keys that wait to be told. Past that, whoever watches has to think of every key.
const MAX_WAITING: usize = 4_096;

/// Tells which keys under a prefix commits have written.
///
/// Changes of a key that were not told yet become one. None is missed: a commit that becomes visible after the watch was
/// made is told, by its keys or as [`ChangedKeys::Any`]. There may be one too many.
#[derive(Debug)]
pub struct KeyWatch {
    here: Arc<Waiting>,
    elsewhere: Option<Box<Elsewhere>>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedKeys {
    /// These keys, each with the latest version that has written it.
    These(Vec<(Bytes, Version)>),
    /// There were too many to be told, or some were not heard of.
    Any,
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    keys: HashMap<Bytes, Version>,
    any: bool,
    closed: bool,
}

impl KeyWatch {
    pub(super) fn new(waiting: Arc<Waiting>) -> Self {
        Self {
            here: waiting,
            elsewhere: None,
        }
    }

    /// The same watch, carried along when another store takes over: then it tells that it may be any key.
    pub(crate) fn carried(mut self, elsewhere: Elsewhere) -> Self {
        self.elsewhere = Some(Box::new(elsewhere));
        self
    }

    /// Waits for changes; what is read from now on shows them.
    ///
    /// # Errors
    /// When the store was closed.
    ///
    /// # Cancel safety
    /// Cancel safe: what was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Result<ChangedKeys, Closed> {
        let Self { here, elsewhere } = self;
        let Some(elsewhere) = elsewhere else {
            return here.changed().await;
        };
        loop {
            tokio::select! {
                biased;
                Some(_) = elsewhere.moved() => {
                    *here = elsewhere.moves()?.watch_keys_here(elsewhere.prefix()).here;
                    return Ok(ChangedKeys::Any);
                }
                changed = here.changed() => match changed {
                    // Its store was closed after another one took over.
                    Err(Closed) if elsewhere.has_moved() => {}
                    changed => return changed,
                }
            }
        }
    }
}

impl Waiting {
    pub(super) fn add(&self, key: &[u8], version: Version) {
        let mut pending = self.lock();
        if pending.any {
            return;
        }
        if pending.keys.len() >= MAX_WAITING && !pending.keys.contains_key(key) {
            pending.all();
        } else {
            let latest = pending.keys.entry(Bytes::copy_from_slice(key)).or_insert(version);
            *latest = (*latest).max(version);
        }
        drop(pending);
        self.wake.notify_one();
    }

    pub(super) fn add_any(&self) {
        self.lock().all();
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    async fn changed(&self) -> Result<ChangedKeys, Closed> {
        loop {
            // One waits at a time, so a wake-up that comes between the look and the wait is kept for it.
            if let Some(changed) = self.take()? {
                return Ok(changed);
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Result<Option<ChangedKeys>, Closed> {
        let mut pending = self.lock();
        if std::mem::take(&mut pending.any) {
            return Ok(Some(ChangedKeys::Any));
        }
        if !pending.keys.is_empty() {
            let keys = std::mem::take(&mut pending.keys);
            return Ok(Some(ChangedKeys::These(keys.into_iter().collect())));
        }
        if pending.closed { Err(Closed) } else { Ok(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn all(&mut self) {
        self.any = true;
        self.keys = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_than_can_wait_is_anything() {
        let waiting = Arc::new(Waiting::default());
        let mut watch = KeyWatch::new(waiting.clone());
        let version = Version::from_u64(7);
        for number in 0..MAX_WAITING {
            waiting.add(&number.to_be_bytes(), version);
        }
        waiting.add(&0_usize.to_be_bytes(), Version::from_u64(8));
        let Ok(ChangedKeys::These(keys)) = watch.changed().await else {
            panic!("keys");
        };
        assert_eq!(keys.len(), MAX_WAITING);
        let again = keys.iter().find(|(_, latest)| *latest > version);
        assert_eq!(
            again.map(|(key, _)| key.as_ref()),
            Some(&0_usize.to_be_bytes()[..])
        );
        for number in 0..=MAX_WAITING {
            waiting.add(&number.to_be_bytes(), version);
        }
        waiting.add(b"k", version);
        assert_eq!(watch.changed().await, Ok(ChangedKeys::Any));
        waiting.close();
        assert_eq!(watch.changed().await, Err(Closed));
    }
}
