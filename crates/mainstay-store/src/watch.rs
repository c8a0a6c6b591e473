//! Waiting for changes under a prefix.

mod elsewhere;
mod keys;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

pub(crate) use self::elsewhere::{Elsewhere, Moves};
use self::keys::Waiting;
pub use self::keys::{ChangedKeys, KeyWatch};
use crate::error::Closed;
use crate::version::Version;

/// Tells when a commit has written a key under a prefix.
///
/// Wake-ups are coalesced: many commits may give one. None is missed: a commit that becomes visible after the watch was
/// made, or after [`Watch::changed`] last returned, makes it return again. There may be one too many.
#[derive(Debug)]
pub struct Watch {
    here: Here,
    /// Boxed, because most watches stay at their store.
    elsewhere: Option<Box<Elsewhere>>,
}

/// What one store tells.
#[derive(Debug)]
struct Here {
    versions: watch::Receiver<Version>,
    /// Changes up to here were before the watch, though they may be heard of after it was made.
    since: Version,
}

impl Watch {
    fn here(versions: watch::Receiver<Version>, since: Version) -> Self {
        Self {
            here: Here { versions, since },
            elsewhere: None,
        }
    }

    /// Waits for a change, and gives the latest version that has one; what is read from now on shows it. When another
    /// store has taken over, the version is the last one of the store that was left.
    ///
    /// # Errors
    /// When the store was closed.
    ///
    /// # Cancel safety
    /// Cancel safe: a change that was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Result<Version, Closed> {
        let Self { here, elsewhere } = self;
        let Some(elsewhere) = elsewhere else {
            return here.changed().await;
        };
        loop {
            tokio::select! {
                biased;
                Some(last) = elsewhere.moved() => {
                    *here = elsewhere.moves()?.watch_here(elsewhere.prefix()).here;
                    // What was written there before this watch began is read from now on.
                    return Ok(last);
                }
                changed = here.changed() => match changed {
                    // Its store was closed after another one took over.
                    Err(Closed) if elsewhere.has_moved() => {}
                    changed => return changed,
                }
            }
        }
    }

    /// The same watch, carried along when another store takes over.
    pub(crate) fn carried(mut self, elsewhere: Elsewhere) -> Self {
        self.elsewhere = Some(Box::new(elsewhere));
        self
    }
}

impl Here {
    async fn changed(&mut self) -> Result<Version, Closed> {
        loop {
            self.versions.changed().await.map_err(|_| Closed)?;
            let version = *self.versions.borrow_and_update();
            if version > self.since {
                return Ok(version);
            }
        }
    }
}

/// Who watches what. Adapters tell it what they committed.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    prefixes: HashMap<Bytes, watch::Sender<Version>>,
    /// Lengths of the prefixes, each once: what of a key has to be looked up.
    lengths: Vec<usize>,
    /// Prefixes of which the keys are told. There are few.
    keyed: Vec<(Bytes, Weak<Waiting>)>,
    /// Watches made since prefixes without watchers were last thrown out.
    made: usize,
    /// The latest commit that was answered, where the adapter says so.
    answered: Version,
    closed: bool,
}

impl Watchers {
    pub(crate) fn watch(&self, prefix: Bytes) -> Watch {
        let mut table = self.lock();
        if table.closed {
            // The sender is dropped here, which is what a closed store looks like.
            return Watch::here(watch::channel(Version::ZERO).1, Version::ZERO);
        }
        table.made += 1;
        let since = table.answered;
        if table.made > table.prefixes.len().max(16) {
            table.throw_out();
        }
        if !table.lengths.contains(&prefix.len()) {
            table.lengths.push(prefix.len());
        }
        let sender = table
            .prefixes
            .entry(prefix)
            .or_insert_with(|| watch::channel(Version::ZERO).0);
        Watch::here(sender.subscribe(), since)
    }

    pub(crate) fn watch_keys(&self, prefix: Bytes) -> KeyWatch {
        let waiting = Arc::new(Waiting::default());
        let mut table = self.lock();
        if table.closed {
            waiting.close();
        } else {
            table.keyed.retain(|(_, known)| known.strong_count() > 0);
            table.keyed.push((prefix, Arc::downgrade(&waiting)));
        }
        KeyWatch::new(waiting)
    }

    /// Keys were written and are visible now. `keys` is only asked when somebody watches.
    pub(crate) fn changed<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = (K, Version)>) {
        let table = self.lock();
        if table.prefixes.is_empty() && table.keyed.is_empty() {
            return;
        }
        for (key, version) in keys {
            let key = key.as_ref();
            for waiting in table.told_of(key) {
                waiting.add(key, version);
            }
            for length in &table.lengths {
                let Some(sender) = key.get(..*length).and_then(|prefix| table.prefixes.get(prefix)) else {
                    continue;
                };
                sender.send_if_modified(|latest| {
                    let later = *latest < version;
                    *latest = (*latest).max(version);
                    later
                });
            }
        }
    }

    /// A commit was answered that is told of later: watches that are made from now on need not hear of it.
    pub(crate) fn answered(&self, version: Version) {
        let mut table = self.lock();
        table.answered = table.answered.max(version);
    }

    /// Wakes everybody: something may have been written that was not seen.
    pub(crate) fn changed_anywhere(&self, version: Version) {
        let table = self.lock();
        for sender in table.prefixes.values() {
            sender.send_modify(|latest| *latest = (*latest).max(version));
        }
        for (_, waiting) in &table.keyed {
            waiting.upgrade().iter().for_each(|waiting| waiting.add_any());
        }
    }

    /// Nothing changes any more.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.prefixes.clear();
        for (_, waiting) in table.keyed.drain(..) {
            waiting.upgrade().iter().for_each(|waiting| waiting.close());
        }
        table.closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who still watches would wait for what cannot come.
impl Drop for Watchers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Table {
    /// Those who are told of this key.
    fn told_of(&self, key: &[u8]) -> impl Iterator<Item = Arc<Waiting>> {
        let keyed = self
            .keyed
            .iter()
            .filter(move |(prefix, _)| key.starts_with(prefix));
        keyed.filter_map(|(_, waiting)| waiting.upgrade())
    }

    fn throw_out(&mut self) {
        self.made = 0;
        self.prefixes.retain(|_, sender| sender.receiver_count() > 0);
        self.lengths = self.prefixes.keys().map(Bytes::len).collect();
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }
}
