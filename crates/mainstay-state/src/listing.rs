//! Which keys there are, and which of them change: for who operates a system.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StateError;
use crate::limits::{MAX_LISTED, MAX_WATCHED};
use crate::port::{Consistency, Etag, Item, StateStore};
use crate::watch::Watch;

/// Shortest time between two looks at the keys that are watched: bounds what a busy component costs its watchers.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Which keys are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What they begin with; every key when it is empty.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// Most keys of the page: from 1 to [`MAX_LISTED`], which bound it.
    pub limit: usize,
}

/// A part of the keys, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The keys.
    pub keys: Vec<ListedKey>,
    /// Whether there may be further ones after the last.
    pub more: bool,
}

/// A key without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The key, with its prefix.
    pub key: String,
    /// Names its value.
    pub etag: Etag,
    /// How many bytes of value are kept: of an encrypted component those of the sealed value.
    pub value_bytes: usize,
    /// What the bytes are, when it was said.
    pub content_type: Option<String>,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}

impl ListedKey {
    pub(crate) fn new(key: String, item: Item) -> Self {
        Self {
            key,
            etag: item.etag,
            value_bytes: item.value.len(),
            content_type: item.content_type,
            expires_at_ms: item.expires_at_ms,
        }
    }
}

/// A page that is being filled.
pub(crate) struct Filling {
    limit: usize,
    page: ListPage,
}

impl Filling {
    pub(crate) fn new(listing: &Listing) -> Self {
        Self {
            limit: listing.limit.clamp(1, MAX_LISTED),
            page: ListPage::default(),
        }
    }

    /// Takes a key; `false` when there was no room for it any more.
    pub(crate) fn offer(&mut self, listed: ListedKey) -> bool {
        if self.page.keys.len() >= self.limit {
            self.page.more = true;
            return false;
        }
        self.page.keys.push(listed);
        true
    }

    pub(crate) fn finish(self) -> ListPage {
        self.page
    }
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key, with its prefix.
    pub key: String,
    /// What it holds now; `None` when it was deleted or expired.
    pub item: Option<Item>,
}

/// Tells how the keys of a component change, one after another. Changes of a key that follow each other closely become one,
/// and the latest is never missed. Dropping it ends it.
#[derive(Debug)]
pub struct KeyChanges {
    store: Arc<dyn StateStore>,
    prefix: String,
    watch: Watch,
    seen: BTreeMap<String, Etag>,
    /// Keys that have changed and were not told of.
    due: VecDeque<String>,
    looked: Instant,
}

impl KeyChanges {
    /// Tells of changes of the keys that begin with `prefix`, from now on.
    ///
    /// # Errors
    /// [`StateError::CannotWatch`] or [`StateError::NotTold`] when the component cannot; [`StateError::TooManyWatched`].
    pub async fn of(store: Arc<dyn StateStore>, prefix: String) -> Result<Self, StateError> {
        // Before the first look, so that nothing is missed in between.
        let watch = store.watch(&prefix).await?;
        let mut changes = Self {
            store,
            prefix,
            watch,
            seen: BTreeMap::new(),
            due: VecDeque::new(),
            looked: Instant::now(),
        };
        changes.seen = changes.look().await?;
        Ok(changes)
    }

    /// Waits for the next change; `None` when the component was closed.
    ///
    /// # Errors
    /// When what changed cannot be read.
    ///
    /// # Cancel safety
    /// Not cancel safe: a change that was about to be returned may be left out.
    pub async fn next(&mut self) -> Result<Option<KeyChange>, StateError> {
        loop {
            while let Some(key) = self.due.pop_front() {
                if let Some(change) = self.read(key).await? {
                    return Ok(Some(change));
                }
            }
            if self.watch.changed().await.is_err() {
                return Ok(None);
            }
            tokio::time::sleep_until(self.looked + LOOK_INTERVAL).await;
            self.looked = Instant::now();
            let now = self.look().await?;
            self.due = differences(&self.seen, &now);
        }
    }

    /// What a key holds, when that is not what was told last.
    async fn read(&mut self, key: String) -> Result<Option<KeyChange>, StateError> {
        let keys = [key];
        let items = self.store.get(&keys, Consistency::Strong).await?;
        let item = items.into_iter().next().flatten();
        let [key] = keys;
        let etag = item.as_ref().map(|item| item.etag.clone());
        if self.seen.get(&key) == etag.as_ref() {
            return Ok(None);
        }
        match etag {
            Some(etag) => self.seen.insert(key.clone(), etag),
            None => self.seen.remove(&key),
        };
        Ok(Some(KeyChange { key, item }))
    }

    async fn look(&self) -> Result<BTreeMap<String, Etag>, StateError> {
        let mut listing = Listing {
            prefix: self.prefix.clone(),
            after: None,
            limit: MAX_LISTED,
        };
        let mut found = BTreeMap::new();
        loop {
            let page = self.store.list(&listing).await?;
            listing.after = page.keys.last().map(|last| last.key.clone());
            found.extend(page.keys.into_iter().map(|listed| (listed.key, listed.etag)));
            if found.len() > MAX_WATCHED {
                return Err(StateError::TooManyWatched);
            }
            if !page.more {
                return Ok(found);
            }
        }
    }
}

/// The keys that are new, gone, or have another value, in their order.
fn differences(before: &BTreeMap<String, Etag>, now: &BTreeMap<String, Etag>) -> VecDeque<String> {
    let changed = now.iter().filter(|(key, etag)| before.get(*key) != Some(etag));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let mut keys: Vec<String> = changed.map(|(key, _)| key).chain(gone).cloned().collect();
    keys.sort_unstable();
    keys.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is neither new nor gone nor another value is left out, and nothing else.
        #[test]
        fn differences_are_told_once(
            before in proptest::collection::btree_map("[a-d]", 0_u64..2, 0..4),
            now in proptest::collection::btree_map("[a-d]", 0_u64..2, 0..4),
        ) {
            let etags = |map: &BTreeMap<String, u64>| {
                map.iter().map(|(key, number)| (key.clone(), Etag::numbered(*number))).collect()
            };
            let told = differences(&etags(&before), &etags(&now));
            for key in ["a", "b", "c", "d"] {
                let differs = before.get(key) != now.get(key);
                prop_assert_eq!(told.iter().filter(|told| *told == key).count(), usize::from(differs));
            }
            prop_assert!(told.iter().is_sorted());
        }
    }
}
