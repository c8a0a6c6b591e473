//! Hearing which values change, whoever changes them: another process on the same store, or who put a change of state into
//! a batch of its own.

use mainstay_store::{ChangedKeys, Key, KeyWatch, Version};

use super::layout::Layout;
use crate::port::Item;

/// Tells which keys of a component change. Dropping it ends it.
#[derive(Debug)]
pub struct Heard {
    watch: KeyWatch,
    layout: Layout,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These keys.
    Keys(Vec<ChangedKey>),
    /// Any key may have.
    Any,
}

/// A key that was set or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// The key, with its prefix.
    pub key: String,
    version: Version,
}

impl ChangedKey {
    /// Whether this item is what the change has left, or what a later one has.
    pub fn is_shown_by(&self, item: &Item) -> bool {
        let number = item.etag.number();
        number.is_some_and(|number| number >= self.version.as_u64())
    }
}

impl Heard {
    pub(super) fn new(watch: KeyWatch, layout: Layout) -> Self {
        Self { watch, layout }
    }

    /// Waits for changes; what is read from now on shows them. `None` when the component was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Changed> {
        match self.watch.changed().await.ok()? {
            ChangedKeys::Any => Some(Changed::Any),
            ChangedKeys::These(keys) => {
                let keys = keys.into_iter().filter_map(|(key, version)| {
                    let key = self.layout.parse_record(&Key::new(key).ok()?)?;
                    Some(ChangedKey { key, version })
                });
                Some(Changed::Keys(keys.collect()))
            }
        }
    }
}
