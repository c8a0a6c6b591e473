//! The data of the simulated store, and its decisions.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Bound;

use mainstay_base::{Rng, SplitMix64};

use super::faults::{Faults, Step};
use super::feed::Feed;
use crate::batch::{Batch, Condition, Token};
use crate::condition::{Census, Present, first_conflict};
use crate::error::{CommitError, ReadError};
use crate::key::{Key, KeyRange, Value};
use crate::page;
use crate::port::{Commit, Direction, Entry, Page, Read, Scan, Stored};
use crate::replication::{Committed, Role};
use crate::version::{HybridClock, Version};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a key ever was, from which moment on, oldest first: its version and value; `None` where it was deleted. In a copy, the
/// moment is later than the version.
type History = Vec<(Version, Option<(Version, Value)>)>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) data: BTreeMap<Key, History>,
    pub(super) tokens: HashMap<Token, Version>,
    pub(super) clock: HybridClock,
    pub(super) wall_ms: u64,
    /// The latest moment that reads see.
    pub(super) visible: Version,
    pub(super) role: Role,
    pub(super) feed: Feed,
    /// What a crash goes back to.
    pub(super) undo: Option<Undo>,
    rng: SplitMix64,
    faults: Faults,
    crash_at: Option<Step>,
    crashed: bool,
    closed: bool,
    rivals: Vec<(Version, Batch)>,
}

/// What there was before something was copied that could still be lost.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) data: BTreeMap<Key, History>,
    pub(super) tokens: HashMap<Token, Version>,
}

/// What a commit came to, and what its caller is told.
pub(super) struct Outcome {
    pub written: Result<Commit, ()>,
    pub answer: Result<Commit, CommitError>,
}

impl State {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            data: BTreeMap::new(),
            tokens: HashMap::new(),
            clock: HybridClock::default(),
            wall_ms: 10 * DAY_MS,
            visible: Version::ZERO,
            role: Role::Primary,
            feed: Feed::default(),
            undo: None,
            rng: SplitMix64::new(seed),
            faults,
            crash_at: None,
            crashed: false,
            closed: false,
            rivals: Vec::new(),
        }
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) fn crash_at(&mut self, step: Step) {
        self.crash_at = Some(step);
    }

    pub(super) fn crash(&mut self) {
        self.crashed = true;
        if let Some(undo) = self.undo.take() {
            self.data = undo.data;
            self.tokens = undo.tokens;
        }
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_crashed(&self) -> bool {
        self.crashed
    }

    pub(super) fn recover(&mut self) -> Version {
        self.crashed = false;
        // What was durable when it crashed is there again, seen before or not.
        self.visible = self.clock.last();
        self.visible
    }

    pub(super) fn rivals(&self) -> Vec<(Version, Batch)> {
        self.rivals.clone()
    }

    pub(super) fn delay(&mut self) -> u32 {
        self.rng.below(u64::from(self.faults.max_yields) + 1) as u32
    }

    /// Whether a commit may wait for its turn, and how long.
    pub(super) fn begin(&mut self) -> Result<u32, CommitError> {
        self.working()?;
        if self.happens(self.faults.overloads) {
            return Err(CommitError::Overloaded);
        }
        Ok(self.delay())
    }

    pub(super) fn working(&self) -> Result<(), CommitError> {
        if self.closed {
            return Err(CommitError::Closed);
        }
        if self.crashed {
            return Err(CommitError::Unavailable("crashed".into()));
        }
        Ok(())
    }

    pub(super) fn visible(&self) -> Result<Version, ReadError> {
        if self.closed {
            return Err(ReadError::Closed);
        }
        if self.crashed {
            return Err(ReadError::Unavailable("crashed".into()));
        }
        Ok(self.visible)
    }

    pub(super) fn commit(&mut self, batch: &Batch) -> Outcome {
        if let Err(error) = self.working() {
            return Outcome::nothing(error);
        }
        if self.role == Role::Replica {
            return Outcome::nothing(CommitError::Replica);
        }
        self.wall_ms = self.next_wall_ms();
        let crash = self.next_crash();
        if crash == Some(Step::Queued) {
            return self.crashed_before_durable();
        }
        if let Some(version) = batch.token().and_then(|token| self.tokens.get(token)) {
            let commit = Commit {
                version: *version,
                replayed: true,
            };
            return Outcome {
                written: Err(()),
                answer: Ok(commit),
            };
        }
        let visitor = if self.happens(self.faults.rivals) {
            self.rival(batch)
        } else {
            None
        };
        let Ok(conflict) = first_conflict(batch, self);
        if let Some(key) = visitor {
            let mut leave = Batch::new();
            leave.delete(key);
            self.apply_rival(leave);
        }
        if let Some(conflict) = conflict {
            return Outcome::nothing(CommitError::Conflict(Box::new(conflict)));
        }
        if matches!(crash, Some(Step::Checked | Step::Written)) {
            return self.crashed_before_durable();
        }
        self.finish(batch, crash)
    }

    fn finish(&mut self, batch: &Batch, crash: Option<Step>) -> Outcome {
        let unknown = self.happens(self.faults.unknown);
        if unknown && self.rng.below(2) == 0 {
            return Outcome::nothing(CommitError::UnknownOutcome("it was lost".into()));
        }
        let version = self.apply(batch);
        let commit = Commit {
            version,
            replayed: false,
        };
        if crash == Some(Step::Durable) {
            self.crash();
            return Outcome::nothing(CommitError::UnknownOutcome("crashed when durable".into()));
        }
        self.visible = version;
        let answer = if crash == Some(Step::Visible) {
            self.crash();
            Err(CommitError::UnknownOutcome("crashed when visible".into()))
        } else if unknown {
            Err(CommitError::UnknownOutcome("it was committed".into()))
        } else {
            Ok(commit)
        };
        Outcome {
            written: Ok(commit),
            answer,
        }
    }

    fn crashed_before_durable(&mut self) -> Outcome {
        self.crash();
        Outcome::nothing(CommitError::UnknownOutcome("crashed".into()))
    }

    fn apply(&mut self, batch: &Batch) -> Version {
        let version = self.clock.tick(self.wall_ms);
        let mut writes = Vec::with_capacity(batch.writes().len());
        for (key, value) in batch.resolved(version) {
            self.write(version, key.clone(), value.cloned().map(|value| (version, value)));
            writes.push((key, value.cloned()));
        }
        if let Some(token) = batch.token() {
            self.tokens.insert(token.clone(), version);
        }
        self.feed.add(Committed {
            version,
            writes,
            token: batch.token().cloned(),
        });
        version
    }

    pub(super) fn write(&mut self, at: Version, key: Key, written: Option<(Version, Value)>) {
        self.data.entry(key).or_default().push((at, written));
    }

    /// Somebody else writes a key that a condition is about: a new version of the same value, or a key that was absent
    /// and, once it was noticed, goes again: then it is returned. Conditions on ranges are left alone.
    fn rival(&mut self, batch: &Batch) -> Option<Key> {
        let keys: Vec<_> = batch
            .conditions()
            .iter()
            .filter_map(|condition| match condition {
                Condition::KeyAt { key, .. } | Condition::KeyAbsent { key } => Some(key.clone()),
                Condition::RangeUnchanged { .. } => None,
            })
            .collect();
        let chosen = self.rng.below(keys.len() as u64) as usize;
        let key = keys.into_iter().nth(chosen)?;
        let value = self
            .newest(&key, self.clock.last())
            .map(|(_, value)| value.clone());
        let visitor = value.is_none().then(|| key.clone());
        let mut write = Batch::new();
        write.put(key, value.unwrap_or_default());
        self.apply_rival(write);
        visitor
    }

    fn apply_rival(&mut self, write: Batch) {
        let version = self.apply(&write);
        self.visible = version;
        self.rivals.push((version, write));
    }

    fn next_wall_ms(&mut self) -> u64 {
        if self.happens(self.faults.clock_jumps) {
            return (self.wall_ms + self.rng.below(2 * DAY_MS)).saturating_sub(DAY_MS);
        }
        self.wall_ms + self.rng.below(2)
    }

    pub(super) fn next_crash(&mut self) -> Option<Step> {
        if let Some(step) = self.crash_at.take() {
            return Some(step);
        }
        if !self.happens(self.faults.crashes) {
            return None;
        }
        let chosen = self.rng.below(Step::ALL.len() as u64) as usize;
        Step::ALL.get(chosen).copied()
    }

    fn happens(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.rng.below(1_000) < u64::from(thousandths)
    }

    fn newest(&self, key: &Key, at: Version) -> Option<(Version, &Value)> {
        newest(self.data.get(key)?, at)
    }

    pub(super) fn read(&self, at: Version, keys: &[Key]) -> Result<Read, ReadError> {
        self.visible()?;
        let values = keys.iter().map(|key| {
            let (version, value) = self.newest(key, at)?;
            Some(Stored {
                value: value.clone(),
                version,
            })
        });
        Ok(Read {
            at,
            values: values.collect(),
        })
    }

    pub(super) fn scan(&self, at: Version, scan: &Scan) -> Result<Page, ReadError> {
        self.visible()?;
        let forward = self.entries(&scan.range, at).map(Ok::<_, Infallible>);
        let Ok(page) = match scan.direction {
            Direction::Forward => page::fill(scan, at, forward),
            Direction::Backward => page::fill(scan, at, forward.rev()),
        };
        Ok(page)
    }

    fn entries(&self, range: &KeyRange, at: Version) -> impl DoubleEndedIterator<Item = Entry> {
        let start = Key::trusted(range.start.clone());
        let end = match &range.end {
            Some(end) if !range.is_empty() => Bound::Excluded(Key::trusted(end.clone())),
            Some(_) => Bound::Excluded(start.clone()),
            None => Bound::Unbounded,
        };
        let held = self.data.range((Bound::Included(start), end));
        held.filter_map(move |(key, history)| {
            let (version, value) = newest(history, at)?;
            Some(Entry {
                key: key.clone(),
                value: value.clone(),
                version,
            })
        })
    }
}

impl Present for State {
    type Error = Infallible;

    fn version_of(&self, key: &Key) -> Result<Option<Version>, Infallible> {
        Ok(self.newest(key, self.clock.last()).map(|(version, _)| version))
    }

    fn census(&self, range: &KeyRange, since: Version, count: u64) -> Result<Census, Infallible> {
        let mut census = Census::default();
        for entry in self.entries(range, self.clock.last()) {
            if census.add(entry.version, since, count) {
                break;
            }
        }
        Ok(census)
    }
}

impl Outcome {
    fn nothing(error: CommitError) -> Self {
        Self {
            written: Err(()),
            answer: Err(error),
        }
    }
}

fn newest(history: &History, at: Version) -> Option<(Version, &Value)> {
    let (_, written) = history.iter().rev().find(|(since, _)| *since <= at)?;
    let (version, value) = written.as_ref()?;
    Some((*version, value))
}
