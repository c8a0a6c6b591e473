//! A component whose values are sealed.

use std::sync::Arc;

use mainstay_store::{Condition, Reply};

use super::Encryption;
use crate::error::StateError;
use crate::listing::{ListPage, Listing};
use crate::port::{Consistency, Features, Found, Item, Operation, StateStore, check_operations};
use crate::query::{Query, QueryPage};
use crate::stored::Heard;
use crate::watch::Watch;

/// A component that only sees sealed values. Keys, `ETag`s, content types and expiries stay readable.
#[derive(Debug)]
pub struct Encrypted {
    inner: Arc<dyn StateStore>,
    encryption: Encryption,
}

impl Encrypted {
    /// Seals what `inner` keeps.
    pub fn new(inner: Arc<dyn StateStore>, encryption: Encryption) -> Self {
        Self { inner, encryption }
    }

    fn open(&self, item: Option<Item>) -> Result<Option<Item>, StateError> {
        item.map(|item| self.encryption.open_item(item)).transpose()
    }
}

impl StateStore for Encrypted {
    fn features(&self) -> Features {
        let inner = self.inner.features();
        Features {
            query: false,
            max_value_bytes: self.encryption.room(inner.max_value_bytes),
            ..inner
        }
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        let reading = self.inner.get(keys, consistency);
        reading.map(|items| items?.into_iter().map(|item| self.open(item)).collect())
    }

    fn look_up<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Found>, StateError>> {
        let reading = self.inner.look_up(keys, consistency);
        reading.map(|found| {
            let opened = found?.into_iter().map(|Found { item, cache }| {
                let item = self.open(item)?;
                Ok(Found { item, cache })
            });
            opened.collect()
        })
    }

    /// Values cannot be found that cannot be read.
    fn query<'a>(&'a self, _: &'a Query, _: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        Reply::ready(Err(StateError::QueryEncrypted))
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
        let limit = self.features().max_value_bytes;
        let sealed =
            check_operations(&operations, limit).and_then(|()| self.encryption.seal_operations(operations));
        match sealed {
            Ok(operations) => self.inner.transact_while(operations, conditions),
            Err(error) => Reply::ready(Err(error)),
        }
    }
}
