//! A component that is counted, held up and broken by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mainstay_base::Reply;
use mainstay_state::query::{Query, QueryPage};
use mainstay_state::{
    Consistency, Features, InMemory, InMemoryOptions, Item, ListPage, Listing, Operation, ReadError,
    StateError, StateStore,
};

use super::Clocks;
use crate::support::Gate;

#[derive(Clone)]
pub(super) struct Component {
    inner: Arc<InMemory>,
    /// What was read, call by call.
    reads: Arc<Mutex<Vec<Vec<String>>>>,
    broken: Arc<AtomicBool>,
    /// What a change waits for before it is made.
    pub(super) changes: Gate,
    /// What a read waits for after it was made.
    pub(super) answers: Gate,
}

impl Component {
    pub(super) fn new(clocks: &Clocks) -> Self {
        Self {
            inner: Arc::new(InMemory::new(InMemoryOptions {
                wall_clock: clocks.wall_clock.clone(),
                ..InMemoryOptions::default()
            })),
            reads: Arc::default(),
            broken: Arc::default(),
            changes: Gate::open(),
            answers: Gate::open(),
        }
    }

    pub(super) fn reads(&self) -> Vec<Vec<String>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads fail from now on, or do not any more.
    pub(super) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn note(&self, keys: &[String]) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.push(keys.to_vec());
    }

    async fn read(&self, keys: &[String], consistency: Consistency) -> Result<Vec<Option<Item>>, StateError> {
        self.note(keys);
        if self.broken.load(Ordering::SeqCst) {
            return Err(ReadError::Unavailable("broken".into()).into());
        }
        let items = self.inner.get(keys, consistency).await;
        self.answers.pass().await;
        items
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Component")
    }
}

impl StateStore for Component {
    fn features(&self) -> Features {
        self.inner.features()
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        Reply::waiting(self.read(keys, consistency))
    }

    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        self.inner.query(query, prefix)
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        self.inner.list(listing)
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(async move {
            self.changes.pass().await;
            self.inner.transact(operations).await
        })
    }
}
