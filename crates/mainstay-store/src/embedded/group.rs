//! Deciding about what a group asks for, one after another, each on top of those before it. Nothing is written here.

pub(super) mod copies;
pub(super) mod following;

use std::collections::HashMap;

use super::feed;
use super::line::Line;
use super::log::record::{Change, Record};
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
    /// The store is a copy of another one.
    Replica,
}

/// A group that is being decided.
pub(super) struct Group<'a> {
    tree: &'a Tree,
    recent: &'a mut Recent,
    clock: &'a mut HybridClock,
    unix_ms: u64,
    /// The generation that new tokens belong to.
    generation: u32,
    /// The line as it is after what was decided so far.
    line: Line,
    /// Where the line ended before the group.
    durable: Version,
    /// What earlier batches of the group leave: the version of a key, or that it is gone.
    written: HashMap<Key, Option<Version>>,
    tokens: HashMap<Token, Version>,
    records: Vec<Record>,
    has_copies: bool,
}

/// What a group comes to.
#[derive(Debug)]
pub(super) struct Decided {
    /// What has to be written.
    pub records: Vec<Record>,
    /// The line if it is.
    pub line: Line,
    /// Whether something came from another store.
    pub has_copies: bool,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        recent: &'a mut Recent,
        clock: &'a mut HybridClock,
        unix_ms: u64,
        generation: u32,
        line: Line,
    ) -> Self {
        clock.observe(Version::from_u64(tree.next_number()));
        Self {
            tree,
            recent,
            clock,
            unix_ms,
            generation,
            durable: line.last,
            line,
            written: HashMap::new(),
            tokens: HashMap::new(),
            records: Vec::new(),
            has_copies: false,
        }
    }

    /// Decides about the next batch.
    pub(super) fn decide(&mut self, batch: &Batch) -> Result<Decision, TreeError> {
        if !self.line.is_primary() {
            return Ok(Decision::Replica);
        }
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

    /// Removes old tokens along with the group, if there is anything in it. Says whether none is left.
    pub(super) fn sweep_tokens(&mut self, most: usize) -> Result<bool, TreeError> {
        let old = space::tokens_before(self.generation.saturating_sub(1));
        let mut changes = Vec::new();
        for found in self.tree.range(old, LATEST).take(most) {
            changes.push(Change::delete(found?.0));
        }
        let is_done = changes.len() < most;
        self.note(changes);
        Ok(is_done)
    }

    /// Removes what was kept for followers and nobody needs any more: twice as much as comes, and `most` beside it.
    pub(super) fn sweep_feed(&mut self, most: usize) -> Result<(), TreeError> {
        let Some((after, up_to)) = self.line.needless(self.durable) else {
            return Ok(());
        };
        let most = most + 2 * self.records.len();
        let mut changes = Vec::new();
        for found in self
            .tree
            .range(space::fed_between(after, up_to), LATEST)
            .take(most)
        {
            changes.push(Change::delete(found?.0));
        }
        let last = changes.last().and_then(|change| space::fed_version(&change.key));
        match last {
            Some(last) if changes.len() == most => self.line.sweep(last),
            _ => self.line.sweep(up_to),
        }
        self.note(changes);
        Ok(())
    }

    /// Whether nothing has to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What it comes to.
    pub(super) fn finish(self) -> Decided {
        Decided {
            records: self.records,
            line: self.line,
            has_copies: self.has_copies,
        }
    }

    fn add(&mut self, batch: &Batch) -> Version {
        let number = self.tick();
        let version = Version::from_u64(number);
        let mut changes = Vec::with_capacity(batch.writes().len() + 1);
        for (key, value) in batch.resolved(version) {
            let tree_key = space::data(key.as_ref());
            self.recent.add(version, tree_key.clone());
            self.written.insert(key, value.map(|_| version));
            changes.push(match value {
                Some(value) => Change::put(tree_key, value.as_bytes().clone()),
                None => Change::delete(tree_key),
            });
        }
        if let Some(token) = batch.token() {
            changes.push(Change::put(
                space::token(self.generation, token),
                bytes::Bytes::new(),
            ));
            self.tokens.insert(token.clone(), version);
        }
        self.push(number, version, changes);
        version
    }

    /// Adds a commit, and what followers are told of it.
    fn push(&mut self, number: u64, version: Version, mut changes: Vec<Change>) {
        if self.line.is_followed() {
            let (kept, fed_bytes) = feed::keep(version, &changes, self.line.fed_bytes);
            changes.push(kept);
            changes.extend(self.line.keep(version, fed_bytes));
        }
        self.records.push(Record { number, changes });
    }

    /// Adds changes that followers are not told of.
    fn note(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            let number = self.tick();
            self.records.push(Record { number, changes });
        }
    }

    /// The number of the next record. Those of a primary are versions.
    fn tick(&mut self) -> u64 {
        let version = self.clock.tick(self.unix_ms);
        self.tree.reserve(version.as_u64());
        if self.line.is_primary() {
            self.line.last = self.line.last.max(version);
        }
        version.as_u64()
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
