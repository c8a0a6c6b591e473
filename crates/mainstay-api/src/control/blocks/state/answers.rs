//! Keys and values as JSON, and the answers that go on.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_state::{Item, KeyChange, KeyChanges, ListPage, ListedKey, Listing, StateStore};

use super::naming::Naming;
use super::{Refusal, bounded};
use crate::control::blocks::Stopping;
use crate::control::lines::Lines;
use crate::{reply, wire};

/// A key with its value.
pub(super) fn item(key: &str, item: Item) -> wire::StateItem {
    let value = match String::from_utf8(item.value.to_vec()) {
        Ok(text) => wire::StateValue::Value(text),
        Err(_) => wire::StateValue::ValueBase64(STANDARD.encode(&item.value)),
    };
    wire::StateItem {
        key: key.to_owned(),
        value,
        etag: item.etag.to_string(),
        content_type: item.content_type,
        expires_unix_ms: item.expires_at_ms,
    }
}

fn listed(key: &str, listed: &ListedKey) -> wire::StateKey {
    wire::StateKey {
        key: key.to_owned(),
        etag: listed.etag.to_string(),
        value_bytes: listed.value_bytes as u64,
        content_type: listed.content_type.clone(),
        expires_unix_ms: listed.expires_at_ms,
    }
}

/// Keys, read page by page as the client takes them.
pub(super) struct Keys {
    store: Arc<dyn StateStore>,
    naming: Naming,
    listing: Listing,
    page: VecDeque<ListedKey>,
    /// Whether there are further pages.
    more: bool,
    /// How many may still be told.
    left: u64,
}

impl Keys {
    /// Begins with a page that was read.
    pub(super) fn new(store: Arc<dyn StateStore>, naming: Naming, listing: Listing, page: ListPage) -> Self {
        let mut keys = Self {
            store,
            naming,
            listing,
            page: VecDeque::new(),
            more: true,
            left: u64::MAX,
        };
        keys.take(page);
        keys
    }

    /// No more than so many.
    pub(super) fn limited(mut self, limit: Option<u64>) -> Self {
        self.left = limit.unwrap_or(u64::MAX);
        self
    }

    fn take(&mut self, page: ListPage) {
        self.more = page.more;
        if let Some(last) = page.keys.last() {
            self.listing.after = Some(last.key.clone());
        }
        self.page = page.keys.into();
    }
}

impl Lines for Keys {
    async fn next(&mut self) -> Option<Vec<u8>> {
        while self.left > 0 {
            if let Some(key) = self.page.pop_front() {
                // Without a prefix, the keys of those who have one are met too.
                let Some(shown) = self.naming.shown(&key.key) else {
                    continue;
                };
                self.left -= 1;
                return Some(reply::json_bytes(&listed(shown, &key)));
            }
            if !self.more {
                break;
            }
            match bounded(self.store.list(&self.listing)).await {
                Ok(page) => self.take(page),
                Err(refusal) => {
                    self.left = 0;
                    return Some(refusal.line());
                }
            }
        }
        None
    }
}

/// Changes, until the system stops.
pub(super) struct Changes {
    pub(super) from: KeyChanges,
    pub(super) naming: Naming,
    pub(super) stopping: Stopping,
    pub(super) failed: bool,
}

impl Lines for Changes {
    async fn next(&mut self) -> Option<Vec<u8>> {
        while !self.failed {
            let change = tokio::select! {
                biased;
                () = self.stopping.begins() => return None,
                change = self.from.next() => change,
            };
            match change {
                Ok(None) => return None,
                Ok(Some(KeyChange { key, item: after })) => {
                    let Some(shown) = self.naming.shown(&key) else {
                        continue;
                    };
                    let after = after.map(|after| item(shown, after));
                    let key = shown.to_owned();
                    return Some(reply::json_bytes(&wire::StateChange { key, after }));
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Refusal::from(error).line());
                }
            }
        }
        None
    }
}
