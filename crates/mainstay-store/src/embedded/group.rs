//! Deciding about the batches of a group, one after another, each on top of those before it. Nothing is written here.

use std::collections::HashMap;

use super::log::record::Record;
use super::recent::Recent;
use super::space;
use super::tree::{LATEST, Tree, TreeError};
use crate::batch::{Batch, Token};
use crate::condition::{Census, Present, first_conflict};
use crate::error::Conflict;
use crate::key::{Key, KeyRange};
use crate::version::{HybridClock, Version};

/// What is to become of a batch if the group becomes durable.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is committed at this version.
    Commit(Version),
    /// It was committed before, at this version.
    Replay(Version),
    /// One of its conditions does not hold.
    Conflict(Box<Conflict>),
}

/// A group that is being decided.
pub(super) struct Group<'a> {
    tree: &'a Tree,
    recent: &'a mut Recent,
    clock: &'a mut HybridClock,
    unix_ms: u64,
    /// The generation that new tokens belong to.
    generation: u32,
    /// What earlier batches of the group leave: the version of a key, or that it is gone.
    written: HashMap<Key, Option<Version>>,
    tokens: HashMap<Token, Version>,
    records: Vec<Record>,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        recent: &'a mut Recent,
        clock: &'a mut HybridClock,
        unix_ms: u64,
        generation: u32,
    ) -> Self {
        clock.observe(Version::from_u64(tree.next_number()));
        Self {
            tree,
            recent,
            clock,
            unix_ms,
            generation,
            written: HashMap::new(),
            tokens: HashMap::new(),
            records: Vec::new(),
        }
    }

    /// Decides about the next batch.
    pub(super) fn decide(&mut self, batch: &Batch) -> Result<Decision, TreeError> {
        if let Some(token) = batch.token()
            && let Some(version) = self.token(token)?
        {
            return Ok(Decision::Replay(version));
        }
        if let Some(conflict) = first_conflict(batch, self)? {
            return Ok(Decision::Conflict(Box::new(conflict)));
        }
        Ok(Decision::Commit(self.add(batch)))
    }

    /// Removes old tokens along with the group, if there is anything in it.
    pub(super) fn sweep(&mut self, most: usize) -> Result<bool, TreeError> {
        let old = space::tokens_before(self.generation.saturating_sub(1));
        let mut changes = Vec::new();
        for found in self.tree.range(old, LATEST).take(most) {
            changes.push((found?.0, None));
        }
        let is_done = changes.len() < most;
        if !changes.is_empty() {
            let version = self.tick();
            self.records.push(Record { version, changes });
        }
        Ok(is_done)
    }

    /// Whether nothing has to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What has to be written.
    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn add(&mut self, batch: &Batch) -> Version {
        let version = self.tick();
        let mut changes = Vec::with_capacity(batch.writes().len() + 1);
        for (key, value) in batch.resolved(version) {
            let tree_key = space::data(key.as_ref());
            self.recent.add(version, tree_key.clone());
            self.written.insert(key, value.map(|_| version));
            changes.push((tree_key, value.map(|value| value.as_bytes().clone())));
        }
        if let Some(token) = batch.token() {
            changes.push((space::token(self.generation, token), Some(bytes::Bytes::new())));
            self.tokens.insert(token.clone(), version);
        }
        self.records.push(Record { version, changes });
        version
    }

    fn tick(&mut self) -> Version {
        let version = self.clock.tick(self.unix_ms);
        self.tree.reserve(version);
        version
    }

    fn token(&self, token: &Token) -> Result<Option<Version>, TreeError> {
        if let Some(version) = self.tokens.get(token) {
            return Ok(Some(*version));
        }
        for generation in [Some(self.generation), self.generation.checked_sub(1)]
            .into_iter()
            .flatten()
        {
            if let Some((version, _)) = self.tree.get(&space::token(generation, token), LATEST)? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }
}

impl Present for Group<'_> {
    type Error = TreeError;

    fn version_of(&self, key: &Key) -> Result<Option<Version>, TreeError> {
        if let Some(version) = self.written.get(key) {
            return Ok(*version);
        }
        let found = self.tree.get(&space::data(key.as_ref()), LATEST)?;
        Ok(found.map(|(version, _)| version))
    }

    fn census(&self, range: &KeyRange, since: Version, count: u64) -> Result<Census, TreeError> {
        if self.recent.is_untouched(range, since) {
            return Ok(Census { count, latest: None });
        }
        let mut census = Census::default();
        let written = self
            .written
            .iter()
            .filter(|(key, _)| range.contains(key.as_ref()));
        for version in written.filter_map(|(_, version)| *version) {
            if census.add(version, since, count) {
                return Ok(census);
            }
        }
        for found in self.tree.range(space::range(range), LATEST) {
            let (tree_key, version, _) = found?;
            let is_overwritten = self.written.contains_key(&space::key(&tree_key));
            if !is_overwritten && census.add(version, since, count) {
                break;
            }
        }
        Ok(census)
    }
}
