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

/// What a key ever was, and since which moment, oldest first: its version and value; `None` where it was deleted.
type History = Vec<(u64, Option<(Version, Value)>)>;

/// A moment, counted in writes: copies come in any order of their versions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) number: u64,
    /// The latest version that can be seen at it.
    pub(super) version: Version,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) data: BTreeMap<Key, History>,
    pub(super) tokens: HashMap<Token, Version>,
    pub(super) clock: HybridClock,
    pub(super) wall_ms: u64,
    /// The latest moment.
    pub(super) present: u64,
    /// The latest moment that reads see.
    pub(super) visible: Moment,
    pub(super) role: Role,
    pub(super) feed: Feed,
    /// The latest commit that was applied since it became a replica.
    pub(super) applied: Version,
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
            present: 0,
            visible: Moment::default(),
            role: Role::Primary,
            feed: Feed::default(),
            applied: Version::ZERO,
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
        self.show();
        self.visible.version
    }

    /// Lets reads see everything.
    pub(super) fn show(&mut self) {
        self.visible = Moment {
            number: self.present,
            version: self.clock.last(),
        };
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

    pub(super) fn visible(&self) -> Result<Moment, ReadError> {
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
        self.show();
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
        self.present += 1;
        let mut writes = Vec::with_capacity(batch.writes().len());
        for (key, value) in batch.resolved(version) {
            self.write(key.clone(), value.cloned().map(|value| (version, value)));
            writes.push((key, value.cloned()));
        }
        if let Some(token) = batch.token() {
            self.tokens.insert(token.clone(), version);
        }
        let commit = Committed {
            version,
            writes,
            token: batch.token().cloned(),
        };
        self.feed.add(self.present, commit);
        version
    }

    /// A key is this from the present moment on.
    pub(super) fn write(&mut self, key: Key, written: Option<(Version, Value)>) {
        self.data.entry(key).or_default().push((self.present, written));
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
        let value = self.newest(&key, self.present).map(|(_, value)| value.clone());
        let visitor = value.is_none().then(|| key.clone());
        let mut write = Batch::new();
        write.put(key, value.unwrap_or_default());
        self.apply_rival(write);
        visitor
    }

    fn apply_rival(&mut self, write: Batch) {
        let version = self.apply(&write);
        self.show();
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

    pub(super) fn newest(&self, key: &Key, moment: u64) -> Option<(Version, &Value)> {
        newest(self.data.get(key)?, moment)
    }

    pub(super) fn read(&self, at: Moment, keys: &[Key]) -> Result<Read, ReadError> {
        self.visible()?;
        let values = keys.iter().map(|key| {
            let (version, value) = self.newest(key, at.number)?;
            Some(Stored {
                value: value.clone(),
                version,
            })
        });
        Ok(Read {
            at: at.version,
            values: values.collect(),
        })
    }

    pub(super) fn scan(&self, at: Moment, scan: &Scan) -> Result<Page, ReadError> {
        self.visible()?;
        let forward = self.entries(&scan.range, at.number).map(Ok::<_, Infallible>);
        let Ok(page) = match scan.direction {
            Direction::Forward => page::fill(scan, at.version, forward),
            Direction::Backward => page::fill(scan, at.version, forward.rev()),
        };
        Ok(page)
    }

    fn entries(&self, range: &KeyRange, moment: u64) -> impl DoubleEndedIterator<Item = Entry> {
        let start = Key::trusted(range.start.clone());
        let end = match &range.end {
            Some(end) if !range.is_empty() => Bound::Excluded(Key::trusted(end.clone())),
            Some(_) => Bound::Excluded(start.clone()),
            None => Bound::Unbounded,
        };
        let held = self.data.range((Bound::Included(start), end));
        held.filter_map(move |(key, history)| {
            let (version, value) = newest(history, moment)?;
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
        Ok(self.newest(key, self.present).map(|(version, _)| version))
    }

    fn census(&self, range: &KeyRange, since: Version, count: u64) -> Result<Census, Infallible> {
        let mut census = Census::default();
        for entry in self.entries(range, self.present) {
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

fn newest(history: &History, moment: u64) -> Option<(Version, &Value)> {
    let (_, written) = history.iter().rev().find(|(since, _)| *since <= moment)?;
    let (version, value) = written.as_ref()?;
    Some((*version, value))
}
