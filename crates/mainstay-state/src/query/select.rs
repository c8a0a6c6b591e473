//! Taking what a query is about from what a component holds.

use std::cmp::Ordering;

use serde_json::Value;

use super::order::{lookup, sort_order};
use super::{Query, QueryError};
use crate::crdt;
use crate::key::SEPARATOR;
use crate::limits::{MAX_FOUND_BYTES, MAX_SCANNED};
use crate::port::Item;

/// A part of the results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryPage {
    /// The results in their order.
    pub results: Vec<QueryResult>,
    /// Asks for the next part; `None` when there is none.
    pub token: Option<String>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryResult {
    /// The key, with its prefix.
    pub key: String,
    /// What it holds.
    pub item: Item,
}

/// Collects the results of a query.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    query: &'a Query,
    prefix: &'a str,
    scanned: usize,
    bytes: usize,
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    /// What the query sorts by, in its order.
    sort: Vec<Option<Value>>,
    result: QueryResult,
}

impl<'a> Selection<'a> {
    /// Results whose keys begin with `prefix` and have none beyond that.
    pub(crate) fn new(query: &'a Query, prefix: &'a str) -> Self {
        Self {
            query,
            prefix,
            scanned: 0,
            bytes: 0,
            found: Vec::new(),
        }
    }

    /// Takes the item if the query is about it.
    pub(crate) fn offer(&mut self, key: &str, mut item: Item) -> Result<(), QueryError> {
        let ours = key
            .strip_prefix(self.prefix)
            .is_some_and(|key| !key.contains(SEPARATOR));
        if !ours {
            return Ok(());
        }
        self.scanned += 1;
        if self.scanned > MAX_SCANNED {
            return Err(QueryError::TooManyValues);
        }
        // What is asked about are values as their users write them.
        match crdt::plain(std::mem::take(&mut item.value)) {
            Ok(value) => item.value = value,
            Err(_) => return Ok(()),
        }
        let Ok(document) = serde_json::from_slice::<Value>(&item.value) else {
            return Ok(());
        };
        if self
            .query
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.matches(&document))
        {
            return Ok(());
        }
        // What is sorted by is a copy out of the value, so it is counted as that.
        self.bytes += key.len() + item.value.len() * (1 + self.query.sort.len());
        if self.bytes > MAX_FOUND_BYTES {
            return Err(QueryError::TooBroad(MAX_FOUND_BYTES));
        }
        let sort = self.query.sort.iter();
        self.found.push(Found {
            sort: sort.map(|sort| lookup(&document, &sort.path).cloned()).collect(),
            result: QueryResult {
                key: key.to_owned(),
                item,
            },
        });
        Ok(())
    }

    /// The part that was asked for.
    pub(crate) fn finish(mut self) -> QueryPage {
        self.found.sort_by(|left, right| {
            let keys = self.query.sort.iter().zip(left.sort.iter().zip(&right.sort));
            keys.map(|(sort, (left, right))| {
                let order = sort_order(left.as_ref(), right.as_ref());
                if sort.descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
            .then_with(|| left.result.key.cmp(&right.result.key))
        });
        let page = self.query.page;
        let end = page.offset.saturating_add(page.limit);
        let token = (end < self.found.len()).then(|| end.to_string());
        let results = self.found.into_iter().skip(page.offset).take(page.limit);
        QueryPage {
            results: results.map(|found| found.result).collect(),
            token,
        }
    }
}
