//! A component whose values may be ones that merge.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mainstay_store::{Condition, Reply, WallClock};

use super::turns::Turns;
use super::{Author, Node, Step, is_marked, plain, plan};
use crate::backoff;
use crate::error::StateError;
use crate::limits::MAX_OPERATIONS;
use crate::listing::{ListPage, Listing};
use crate::port::{Consistency, Features, Found, Item, Operation, StateStore};
use crate::query::{Query, QueryPage};
use crate::stored::Heard;
use crate::watch::Watch;

/// How often a merge is decided anew because another process changed the same values meanwhile.
const MAX_ATTEMPTS: u32 = 64;

/// A component that can [merge](StateStore::merge), whatever it keeps its values in. What is read are values as their users
/// write them.
///
/// A merge reads, merges and sets what came of it while nobody else has set the value: with the `ETag` that was read, again
/// when there is another one meanwhile. So changes meet in one copy, one after the other, and none is lost.
pub struct Merging {
    inner: Arc<dyn StateStore>,
    node: Node,
    wall_clock: Arc<dyn WallClock>,
    turns: Turns,
}

impl Merging {
    /// Merges into what `inner` keeps. `node` is the name of this process among those that do; `wall_clock` says when a
    /// register was written.
    pub fn new(inner: Arc<dyn StateStore>, node: impl Into<Node>, wall_clock: Arc<dyn WallClock>) -> Self {
        Self {
            inner,
            node: node.into(),
            wall_clock,
            turns: Turns::default(),
        }
    }

    async fn merge_all(&self, steps: Vec<Step>, conditions: Vec<Condition>) -> Result<(), StateError> {
        if steps.len() > MAX_OPERATIONS {
            return Err(StateError::TooManyOperations(steps.len()));
        }
        steps.iter().try_for_each(|step| match step {
            Step::Plain(operation) => check(operation),
            Step::Merge(_) => Ok(()),
        })?;
        let merged = steps.iter().filter_map(|step| match step {
            Step::Merge(merge) => Some(merge.set.key.clone()),
            Step::Plain(_) => None,
        });
        let mut keys: Vec<String> = merged.collect();
        keys.sort_unstable();
        keys.dedup();
        let _turns = self.turns.take(&keys).await;
        for attempt in 0..MAX_ATTEMPTS {
            let items = self.inner.get(&keys, Consistency::Strong).await?;
            let found: BTreeMap<&str, Option<Item>> = keys.iter().map(String::as_str).zip(items).collect();
            let author = Author::new(&self.node, self.wall_clock.unix_ms());
            let operations = plan::operations(&steps, found, &author)?;
            match self.inner.transact_while(operations, conditions.clone()).await {
                // Whether it is a mismatch with what the caller requires shows when it is decided again.
                Err(StateError::EtagMismatch { key, .. }) if keys.contains(&key) => {
                    backoff::pause(attempt).await;
                }
                done => return done,
            }
        }
        keys.truncate(3);
        Err(StateError::Contended(keys.join(", ")))
    }
}

impl StateStore for Merging {
    fn features(&self) -> Features {
        self.inner.features()
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        let reading = self.inner.get(keys, consistency);
        reading.map(|items| {
            let mut items = items?;
            for (key, item) in keys.iter().zip(&mut items) {
                show(key, item.as_mut())?;
            }
            Ok(items)
        })
    }

    fn look_up<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Found>, StateError>> {
        let reading = self.inner.look_up(keys, consistency);
        reading.map(|found| {
            let mut found = found?;
            for (key, found) in keys.iter().zip(&mut found) {
                show(key, found.item.as_mut())?;
            }
            Ok(found)
        })
    }

    /// Queries see values as their users write them by themselves.
    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        self.inner.query(query, prefix)
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        self.inner.list(listing)
    }

    fn watch<'a>(&'a self, prefix: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        self.inner.watch(prefix)
    }

    fn hear(&self) -> Result<Heard, StateError> {
        self.inner.hear()
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        self.transact_while(operations, Vec::new())
    }

    fn transact_while(
        &self,
        operations: Vec<Operation>,
        conditions: Vec<Condition>,
    ) -> Reply<'_, Result<(), StateError>> {
        match operations.iter().try_for_each(check) {
            Ok(()) => self.inner.transact_while(operations, conditions),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn merge(&self, steps: Vec<Step>, conditions: Vec<Condition>) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(self.merge_all(steps, conditions))
    }
}

/// Makes of what is kept under a key the value as its users write it.
fn show(key: &str, item: Option<&mut Item>) -> Result<(), StateError> {
    if let Some(item) = item {
        let value = plain(std::mem::take(&mut item.value));
        item.value = value.map_err(|_| StateError::Unreadable(key.to_owned()))?;
    }
    Ok(())
}

/// What is set must not be taken for a value that merges.
fn check(operation: &Operation) -> Result<(), StateError> {
    match operation {
        Operation::Set(set) if is_marked(&set.value) => Err(StateError::Marked(set.key.clone())),
        _ => Ok(()),
    }
}

impl fmt::Debug for Merging {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Merging")
            .field("inner", &self.inner)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
