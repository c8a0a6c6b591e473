//! `state.in-memory`: gone with the process, for development and tests.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_store::{Reply, SystemWallClock, WallClock};

use crate::error::StateError;
use crate::limits::MAX_VALUE_BYTES;
use crate::listing::{Filling, ListPage, ListedKey, Listing};
use crate::port::{
    Consistency, Etag, Features, Item, Operation, Set, StateStore, check_keys, check_operations,
};
use crate::query::{Query, QueryPage, Selection};
use crate::ttl::expired;

/// Bytes that an entry takes beside its key and value, roughly.
const OVERHEAD_BYTES: usize = 128;

/// How many expired values a change clears away at most: bounds its time, and clears faster than values can come in.
const SWEPT_PER_CHANGE: usize = 64;

/// Settings of the component.
#[derive(Clone)]
pub struct Options {
    /// Most bytes of keys and values; more are refused. 256 MiB.
    pub max_bytes: usize,
    /// Says when values expire.
    pub wall_clock: Arc<dyn WallClock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1_024 * 1_024,
            wall_clock: Arc::new(SystemWallClock),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// The component.
///
/// It needs no task that clears away what has expired: every change clears some of it, and memory only grows by changes.
#[derive(Debug)]
pub struct InMemory {
    options: Options,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    items: BTreeMap<String, Item>,
    /// By when they expire.
    expiries: BTreeSet<(u64, String)>,
    bytes: usize,
    last_etag: u64,
}

impl InMemory {
    /// An empty one.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            table: Mutex::default(),
        }
    }

    fn get_now(&self, keys: &[String]) -> Result<Vec<Option<Item>>, StateError> {
        check_keys(keys)?;
        let now_ms = self.options.wall_clock.unix_ms();
        let table = self.lock();
        Ok(keys.iter().map(|key| table.live(key, now_ms).cloned()).collect())
    }

    /// Values are shared, so what a query may look at is collected under the lock and read without it.
    fn query_now(&self, query: &Query, prefix: &str) -> Result<QueryPage, StateError> {
        let now_ms = self.options.wall_clock.unix_ms();
        let candidates: Vec<(String, Item)> = {
            let table = self.lock();
            let from_prefix = table.items.range(prefix.to_owned()..);
            from_prefix
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter(|(_, item)| !expired(item.expires_at_ms, now_ms))
                .map(|(key, item)| (key.clone(), item.clone()))
                .collect()
        };
        let mut selection = Selection::new(query, prefix);
        for (key, item) in candidates {
            selection.offer(&key, item)?;
        }
        Ok(selection.finish())
    }

    fn list_now(&self, listing: &Listing) -> ListPage {
        let now_ms = self.options.wall_clock.unix_ms();
        let prefix = listing.prefix.as_str();
        let start = match &listing.after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let mut filling = Filling::new(listing);
        let table = self.lock();
        for (key, item) in table.items.range::<str, _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            if !expired(item.expires_at_ms, now_ms)
                && !filling.offer(ListedKey::new(key.clone(), item.clone()))
            {
                break;
            }
        }
        filling.finish()
    }

    fn transact_now(&self, operations: Vec<Operation>) -> Result<(), StateError> {
        check_operations(&operations, MAX_VALUE_BYTES)?;
        let now_ms = self.options.wall_clock.unix_ms();
        let mut table = self.lock();
        table.sweep(now_ms);
        for operation in &operations {
            let found = table.live(operation.key(), now_ms).map(|item| &item.etag);
            operation.requirement().check(operation.key(), found)?;
        }
        if table.bytes_after(&operations) > self.options.max_bytes {
            return Err(StateError::Full(self.options.max_bytes));
        }
        for operation in operations {
            match operation {
                Operation::Set(set) => table.put(set, now_ms),
                Operation::Delete(delete) => table.remove(&delete.key),
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl StateStore for InMemory {
    fn features(&self) -> Features {
        Features {
            durable: false,
            query: true,
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        _: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        Reply::ready(self.get_now(keys))
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        Reply::ready(self.query_now(query, prefix))
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        Reply::ready(Ok(self.list_now(listing)))
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        Reply::ready(self.transact_now(operations))
    }
}

impl Table {
    fn live(&self, key: &str, now_ms: u64) -> Option<&Item> {
        self.items
            .get(key)
            .filter(|item| !expired(item.expires_at_ms, now_ms))
    }

    fn put(&mut self, set: Set, now_ms: u64) {
        self.remove(&set.key);
        self.last_etag += 1;
        let expires_at_ms = set.time_to_live.and_then(|ttl| ttl.expires_at_ms(now_ms));
        if let Some(expires) = expires_at_ms {
            self.expiries.insert((expires, set.key.clone()));
        }
        let item = Item {
            value: set.value,
            etag: Etag::numbered(self.last_etag),
            content_type: set.content_type,
            expires_at_ms,
        };
        self.bytes += size_bytes(&set.key, item.value.len());
        self.items.insert(set.key, item);
    }

    fn remove(&mut self, key: &str) {
        let Some((key, item)) = self.items.remove_entry(key) else {
            return;
        };
        self.bytes -= size_bytes(&key, item.value.len());
        if let Some(expires) = item.expires_at_ms {
            self.expiries.remove(&(expires, key));
        }
    }

    fn sweep(&mut self, now_ms: u64) {
        for _ in 0..SWEPT_PER_CHANGE {
            match self.expiries.first() {
                Some((expires, key)) if *expires <= now_ms => {
                    let key = key.clone();
                    self.remove(&key);
                }
                _ => return,
            }
        }
    }

    /// How much there is when the operations are done. The last one on a key counts.
    fn bytes_after(&self, operations: &[Operation]) -> usize {
        let mut seen = HashSet::new();
        let mut bytes = self.bytes;
        for operation in operations.iter().rev().filter(|each| seen.insert(each.key())) {
            let key = operation.key();
            let before = self
                .items
                .get(key)
                .map_or(0, |item| size_bytes(key, item.value.len()));
            let after = match operation {
                Operation::Set(set) => size_bytes(key, set.value.len()),
                Operation::Delete(_) => 0,
            };
            bytes = bytes - before + after;
        }
        bytes
    }
}

fn size_bytes(key: &str, value_bytes: usize) -> usize {
    // The key stands in the table, and in the order of expiries too.
    2 * key.len() + value_bytes + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::conformance::ManualWallClock;
    use crate::{Delete, TimeToLive};

    #[test]
    fn no_more_than_fits() {
        let store = InMemory::new(Options {
            max_bytes: 2 * size_bytes("a", 100),
            ..Options::default()
        });
        let set = |key: &str| vec![Operation::Set(Set::new(key, vec![7; 100]))];
        store.transact_now(set("a")).unwrap();
        store.transact_now(set("b")).unwrap();
        assert!(matches!(store.transact_now(set("c")), Err(StateError::Full(_))));
        // Replacing needs no room; deleting gives some.
        store.transact_now(set("a")).unwrap();
        store
            .transact_now(vec![Operation::Delete(Delete::new("b"))])
            .unwrap();
        store.transact_now(set("c")).unwrap();
    }

    #[test]
    fn what_expired_is_cleared_away() {
        let clock = Arc::new(ManualWallClock::default());
        let store = InMemory::new(Options {
            wall_clock: clock.clone(),
            ..Options::default()
        });
        let second = TimeToLive::seconds(NonZeroU32::MIN);
        for number in 0..100 {
            let mut set = Set::new(format!("key {number}"), "value");
            set.time_to_live = Some(second);
            store.transact_now(vec![Operation::Set(set)]).unwrap();
        }
        clock.advance_ms(1_000);
        for _ in 0..2 {
            store
                .transact_now(vec![Operation::Delete(Delete::new("none"))])
                .unwrap();
        }
        let table = store.lock();
        assert_eq!((table.items.len(), table.expiries.len(), table.bytes), (0, 0, 0));
    }
}
