//! `state.mainstay`: state on the store, durable, and part of a batch with messages and whatever else is committed.

mod heard;
pub(crate) mod layout;
mod plan;
mod resolve;
mod sweep;

use std::fmt;
use std::sync::Arc;

use mainstay_store::{
    Batch, CommitError, Condition, Entry, Key, Read, ReadError, Reply, Scan, Store, SystemWallClock,
    WallClock,
};

pub use self::heard::{Changed, ChangedKey, Heard};
pub use self::layout::InvalidName;
use self::layout::Layout;
use self::plan::Found;
pub use self::sweep::Swept;
pub(crate) use self::sweep::tell;
use crate::error::StateError;
use crate::limits::MAX_VALUE_BYTES;
use crate::listing::{Filling, ListPage, ListedKey, Listing};
use crate::port::{
    Consistency, Features, Item, Operation, Requirement, StateStore, check_keys, check_operations,
};
use crate::query::{Query, QueryPage, Selection};
use crate::watch::Watch;

/// How often a change is decided anew because others changed the same keys meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// How many values a query reads at once.
const QUERY_PAGE: usize = 256;

/// The component. Clones are the same one.
///
/// Its `ETag`s are the versions of the store. A value that expires is not shown any more; a [sweeper](Stored::start_sweeper) removes it later.
#[derive(Clone)]
pub struct Stored {
    store: Arc<dyn Store>,
    layout: Layout,
    wall_clock: Arc<dyn WallClock>,
}

impl Stored {
    /// The state of the component `name` in this store.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Result<Self, InvalidName> {
        Self::with_clock(store, name, Arc::new(SystemWallClock))
    }

    /// The same, with the clock that says when values expire.
    pub fn with_clock(
        store: Arc<dyn Store>,
        name: &str,
        wall_clock: Arc<dyn WallClock>,
    ) -> Result<Self, InvalidName> {
        let layout = Layout::new(name)?;
        Ok(Self {
            store,
            layout,
            wall_clock,
        })
    }

    /// Adds the operations to a batch that the caller commits, so that they take effect together with what else is in it.
    ///
    /// What the operations require is checked now, against what is stored, and made a condition of the batch. When the
    /// commit meets a conflict, make a new batch: this call then says which `ETag` does not match any more, or decides
    /// anew. Reads the store only when something is required. Cancel safe: a batch that is not committed changes nothing.
    pub async fn contribute(&self, operations: &[Operation], batch: &mut Batch) -> Result<(), StateError> {
        check_operations(operations, MAX_VALUE_BYTES)?;
        let now_ms = self.wall_clock.unix_ms();
        let required = operations
            .iter()
            .filter(|operation| operation.requirement() != Requirement::Nothing);
        let mut names: Vec<&str> = required.map(Operation::key).collect();
        names.sort_unstable();
        names.dedup();
        let found = self.find(&names).await?;
        plan::add(&self.layout, operations, &found, now_ms, batch)
    }

    async fn find<'a>(&self, names: &[&'a str]) -> Result<Found<'a>, StateError> {
        if names.is_empty() {
            return Ok(Found::default());
        }
        let keys = self.record_keys(names)?;
        let read = self.store.read(&keys).await?;
        let records = names.iter().zip(read.values).map(|(name, stored)| {
            let record = stored.map(|stored| layout::decode(name, stored)).transpose()?;
            Ok((*name, record))
        });
        records.collect()
    }

    fn record_keys(&self, names: &[impl AsRef<str>]) -> Result<Vec<Key>, StateError> {
        names
            .iter()
            .map(|name| self.layout.record(name.as_ref()))
            .collect()
    }

    /// The values of records that were read, unless they have expired.
    fn items(
        &self,
        names: &[String],
        read: Result<Read, ReadError>,
    ) -> Result<Vec<Option<Item>>, StateError> {
        let now_ms = self.wall_clock.unix_ms();
        let items = names.iter().zip(read?.values).map(|(name, stored)| {
            let item = stored.map(|stored| layout::decode(name, stored)).transpose()?;
            Ok(item.filter(|item| !crate::expired(item.expires_at_ms, now_ms)))
        });
        items.collect()
    }

    async fn select(&self, query: &Query, prefix: &str) -> Result<QueryPage, StateError> {
        let now_ms = self.wall_clock.unix_ms();
        let snapshot = self.store.snapshot().await?;
        let mut selection = Selection::new(query, prefix);
        let mut range = Some(self.layout.records(prefix));
        while let Some(current) = range {
            let page = snapshot.scan(&Scan::new(current).limit(QUERY_PAGE)).await?;
            for entry in page.entries {
                if let Some((name, item)) = self.live(entry, now_ms)? {
                    selection.offer(&name, item)?;
                }
            }
            range = page.rest;
            // Others on this thread wait no longer than one page.
            tokio::task::yield_now().await;
        }
        Ok(selection.finish())
    }

    async fn list_page(&self, listing: &Listing) -> Result<ListPage, StateError> {
        let now_ms = self.wall_clock.unix_ms();
        let mut filling = Filling::new(listing);
        let records = self.layout.records(&listing.prefix);
        let mut range = match &listing.after {
            Some(after) => Some(records.after(&self.layout.record(after)?)),
            None => Some(records),
        };
        while let Some(current) = range {
            let page = self.store.scan(&Scan::new(current).limit(QUERY_PAGE)).await?;
            for entry in page.entries {
                if let Some((name, item)) = self.live(entry, now_ms)?
                    && !filling.offer(ListedKey::new(name, item))
                {
                    return Ok(filling.finish());
                }
            }
            range = page.rest;
            tokio::task::yield_now().await;
        }
        Ok(filling.finish())
    }

    /// The value of a record, unless it has expired.
    fn live(&self, entry: Entry, now_ms: u64) -> Result<Option<(String, Item)>, StateError> {
        let Some(name) = self.layout.parse_record(&entry.key) else {
            return Ok(None);
        };
        let stored = mainstay_store::Stored {
            value: entry.value,
            version: entry.version,
        };
        let item = layout::decode(&name, stored)?;
        let live = !crate::expired(item.expires_at_ms, now_ms);
        Ok(live.then_some((name, item)))
    }

    async fn commit(&self, operations: Vec<Operation>, conditions: Vec<Condition>) -> Result<(), StateError> {
        if operations.is_empty() {
            return Ok(());
        }
        for _ in 0..MAX_ATTEMPTS {
            let mut batch = Batch::new();
            self.contribute(&operations, &mut batch).await?;
            for condition in &conditions {
                batch.require(condition.clone());
            }
            match resolve::commit(self.store.as_ref(), batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(conflict)) if conditions.contains(&conflict.condition) => {
                    return Err(StateError::Unprotected);
                }
                // Whether it is a mismatch shows when it is decided again.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let keys: Vec<&str> = operations.iter().map(Operation::key).take(3).collect();
        Err(StateError::Contended(keys.join(", ")))
    }
}

impl StateStore for Stored {
    fn features(&self) -> Features {
        Features {
            durable: true,
            query: true,
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    fn get<'a>(
        &'a self,
        names: &'a [String],
        _: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        let keys = match check_keys(names).and_then(|()| self.record_keys(names)) {
            Ok(keys) => keys,
            Err(error) => return Reply::ready(Err(error)),
        };
        // The embedded store has it at once: then nothing has to be kept for later.
        if let Ok(read) = self.store.read(&keys).at_once() {
            return Reply::ready(self.items(names, read));
        }
        Reply::waiting(async move { self.items(names, self.store.read(&keys).await) })
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        Reply::waiting(self.select(query, prefix))
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        Reply::waiting(self.list_page(listing))
    }

    fn watch<'a>(&'a self, prefix: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        let watch = self.store.watch(self.layout.records(prefix).start);
        Reply::ready(Ok(Watch::of_store(watch)))
    }

    fn hear(&self) -> Result<Heard, StateError> {
        let watch = self.store.watch_keys(self.layout.records("").start);
        Ok(Heard::new(watch, self.layout.clone()))
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(self.commit(operations, Vec::new()))
    }

    fn transact_while(
        &self,
        operations: Vec<Operation>,
        conditions: Vec<Condition>,
    ) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(self.commit(operations, conditions))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stored")
            .field("store", &self.store)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}
