//! The check itself.

use super::settle::{Line, settle};
use super::timeline::{At, Timeline};
use super::{Action, Operation, Outcome};
use crate::batch::{Batch, Condition, Token};
use crate::condition::first_conflict;
use crate::error::Conflict;
use crate::key::Key;
use crate::port::{Entry, Page, Read, Stored};
use crate::version::Version;

/// What a history held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Batches that were committed.
    pub commits: usize,
    /// Batches that met a conflict.
    pub conflicts: usize,
    /// Reads and scans.
    pub reads: usize,
    /// Commits whose outcome was not told.
    pub unknown: usize,
    /// Commits that were refused for another reason than a conflict.
    pub refused: usize,
}

/// What a strictly serialisable store cannot have done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two commits have one version.
    #[error("two batches were committed at version {0}")]
    VersionTwice(Version),
    /// One token, two commits.
    #[error("the token {token:?} was committed at version {first} and again at version {second}")]
    CommittedTwice {
        /// The token.
        token: Token,
        /// The first commit.
        first: Version,
        /// The second commit.
        second: Version,
    },
    /// A version that nobody committed was seen or answered.
    #[error("version {version} was never committed")]
    Invented {
        /// The version.
        version: Version,
    },
    /// Something stands before what had ended when it began.
    #[error("version {version} began at {invoked}, when version {floor} had been answered already")]
    OutOfTime {
        /// Where it stands.
        version: Version,
        /// When it began.
        invoked: u64,
        /// What had been answered by then.
        floor: Version,
    },
    /// A read that does not show what was committed.
    #[error("a read at version {at} shows {key:?} as {found:?}; committed was {expected:?}")]
    WrongRead {
        /// The version of the snapshot.
        at: Version,
        /// The key.
        key: Key,
        /// What was read.
        found: Option<Stored>,
        /// What should have been.
        expected: Option<Stored>,
    },
    /// A read that answers for another number of keys than it was asked for.
    #[error("a read at version {at} answers for {found} keys instead of {expected}")]
    WrongCount {
        /// The version of the snapshot.
        at: Version,
        /// How many were answered.
        found: usize,
        /// How many were asked for.
        expected: usize,
    },
    /// A batch was committed although one of its conditions was false.
    #[error("version {version} was committed in spite of a {conflict}")]
    ConditionIgnored {
        /// The version.
        version: Version,
        /// The condition.
        conflict: Box<Conflict>,
    },
    /// A conflict was answered, but the condition was true all the time.
    #[error("a conflict was answered for {condition:?}, which held from version {from} to version {to}")]
    FalseConflict {
        /// The condition.
        condition: Condition,
        /// The earliest state that the call can have met.
        from: Version,
        /// The latest.
        to: Version,
    },
}

pub(super) fn check(operations: &[Operation]) -> Result<Summary, Violation> {
    let line = settle(operations)?;
    let timeline = replay(&line)?;
    let floors = Floors::new(&line, operations);
    for (version, committed) in &line {
        let floor = floors.at(committed.invoked);
        if *version <= floor {
            return Err(Violation::OutOfTime {
                version: *version,
                invoked: committed.invoked,
                floor,
            });
        }
    }
    let mut summary = Summary {
        commits: line.len(),
        ..Summary::default()
    };
    for operation in operations {
        match &operation.action {
            Action::Commit { batch, outcome } => match outcome {
                Outcome::Conflict(position) => {
                    summary.conflicts += 1;
                    check_conflict(&line, &timeline, &floors, operation, batch, *position)?;
                }
                Outcome::Unknown => summary.unknown += 1,
                Outcome::Refused => summary.refused += 1,
                Outcome::Committed(_) => {}
            },
            Action::Read { keys, read } => {
                summary.reads += 1;
                check_snapshot(&floors, operation, read.at)?;
                check_read(&timeline, keys, read)?;
            }
            Action::Scan { page } => {
                summary.reads += 1;
                check_snapshot(&floors, operation, page.at)?;
                check_page(&timeline, page)?;
            }
        }
    }
    Ok(summary)
}

/// Applies all commits in their order, each to a state in which its conditions hold.
fn replay(line: &Line<'_>) -> Result<Timeline, Violation> {
    let mut timeline = Timeline::default();
    for (version, committed) in line {
        let before = At(&timeline, *version);
        let Ok(conflict) = first_conflict(committed.batch, &before);
        if let Some(conflict) = conflict {
            return Err(Violation::ConditionIgnored {
                version: *version,
                conflict: Box::new(conflict),
            });
        }
        timeline.apply(*version, committed.batch);
    }
    Ok(timeline)
}

/// What had been answered at each moment.
struct Floors(Vec<(u64, Version)>);

impl Floors {
    fn new(line: &Line<'_>, operations: &[Operation]) -> Self {
        let commits = line
            .iter()
            .map(|(version, committed)| (committed.returned, *version));
        let others = operations.iter().filter_map(|operation| match &operation.action {
            Action::Commit {
                outcome: Outcome::Committed(commit),
                ..
            } => Some((operation.returned, commit.version)),
            Action::Commit { .. } => None,
            Action::Read { read, .. } => Some((operation.returned, read.at)),
            Action::Scan { page } => Some((operation.returned, page.at)),
        });
        let mut answers: Vec<_> = commits.chain(others).collect();
        answers.sort_unstable();
        let mut highest = Version::ZERO;
        for (_, version) in &mut answers {
            highest = highest.max(*version);
            *version = highest;
        }
        Self(answers)
    }

    /// The latest version that had been answered when something began at `time`.
    fn at(&self, time: u64) -> Version {
        let next = self.0.partition_point(|(returned, _)| *returned < time);
        let last = next.checked_sub(1).and_then(|last| self.0.get(last));
        last.map_or(Version::ZERO, |(_, version)| *version)
    }
}

/// A snapshot shows at least what had been answered when it was taken.
fn check_snapshot(floors: &Floors, operation: &Operation, at: Version) -> Result<(), Violation> {
    let floor = floors.at(operation.invoked);
    if at < floor {
        return Err(Violation::OutOfTime {
            version: at,
            invoked: operation.invoked,
            floor,
        });
    }
    Ok(())
}

fn check_read(timeline: &Timeline, keys: &[Key], read: &Read) -> Result<(), Violation> {
    if keys.len() != read.values.len() {
        return Err(Violation::WrongCount {
            at: read.at,
            found: read.values.len(),
            expected: keys.len(),
        });
    }
    for (key, found) in keys.iter().zip(&read.values) {
        let expected = timeline.stored(key, read.at);
        if *found != expected {
            return Err(Violation::WrongRead {
                at: read.at,
                key: key.clone(),
                found: found.clone(),
                expected,
            });
        }
    }
    Ok(())
}

fn check_page(timeline: &Timeline, page: &Page) -> Result<(), Violation> {
    let mut found: Vec<&Entry> = page.entries.iter().collect();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    let mut found = found.into_iter().peekable();
    for expected in timeline.entries(&page.covered, page.at) {
        let same_key = found.next_if(|entry| entry.key <= expected.key);
        if same_key != Some(&expected) {
            let key = same_key.map_or_else(|| expected.key.clone(), |entry| entry.key.clone());
            return Err(wrong_page(timeline, page.at, key, same_key));
        }
    }
    match found.next() {
        None => Ok(()),
        Some(more) => Err(wrong_page(timeline, page.at, more.key.clone(), Some(more))),
    }
}

fn wrong_page(timeline: &Timeline, at: Version, key: Key, found: Option<&Entry>) -> Violation {
    let expected = timeline.stored(&key, at);
    let found = found.map(|entry| Stored {
        value: entry.value.clone(),
        version: entry.version,
    });
    Violation::WrongRead {
        at,
        key,
        found,
        expected,
    }
}

/// A conflict is honest when the condition was false in one of the states that the call can have met.
fn check_conflict(
    line: &Line<'_>,
    timeline: &Timeline,
    floors: &Floors,
    operation: &Operation,
    batch: &Batch,
    position: usize,
) -> Result<(), Violation> {
    let Some(condition) = batch.conditions().get(position) else {
        return Err(Violation::Invented {
            version: Version::ZERO,
        });
    };
    let from = floors.at(operation.invoked);
    let met = |version: &Version| {
        let begun = line
            .get(version)
            .is_none_or(|committed| committed.invoked < operation.returned);
        *version > from && begun
    };
    let later: Vec<_> = timeline.changes(condition).into_iter().filter(met).collect();
    let to = later.iter().copied().max().unwrap_or(from);
    // A range that changed and changed back may count as changed.
    let touched = matches!(condition, Condition::RangeUnchanged { since, .. } if *since < to);
    let mut alone = Batch::new();
    alone.require(condition.clone());
    let states = later.into_iter().chain([from]);
    let was_false = states
        .into_iter()
        .any(|state| matches!(first_conflict(&alone, &At(timeline, state)), Ok(Some(_))));
    if touched || was_false {
        return Ok(());
    }
    Err(Violation::FalseConflict {
        condition: condition.clone(),
        from,
        to,
    })
}
