//! What clients did to a store and what they saw, and whether a strictly serialisable store can have done it.
//!
//! Since every commit and every snapshot has a version, there is nothing to search: the versions *are* the order, and
//! [`check`](History::check) only asks whether that order is legal. It is when
//!
//! - it respects real time: what was answered before something else began comes before it;
//! - every read and scan shows exactly what the commits up to its version left;
//! - every committed batch found its conditions true at its own place;
//! - every conflict names a condition that was false at some moment of the call;
//! - nothing is seen that nobody committed, and a token is committed once.
//!
//! Time is a counter that is raised at each beginning and each end. (The method follows Elle: Kingsbury and Alvaro, 2020;
//! recoverable versions make the version order given instead of inferred.)

mod check;
mod settle;
mod timeline;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use self::check::{Summary, Violation};
use crate::batch::Batch;
use crate::error::CommitError;
use crate::key::Key;
use crate::port::{Commit, Page, Read};
use crate::version::Version;

/// Something that a client did.
#[derive(Clone, Debug)]
pub struct Operation {
    /// When it began.
    pub invoked: u64,
    /// When its answer was there.
    pub returned: u64,
    /// What it was, and the answer.
    pub action: Action,
}

/// What a client did, and the answer it had.
#[derive(Clone, Debug)]
pub enum Action {
    /// A batch was committed, or not.
    Commit {
        /// The batch.
        batch: Batch,
        /// The answer.
        outcome: Outcome,
    },
    /// Keys were read.
    Read {
        /// The keys.
        keys: Vec<Key>,
        /// The answer.
        read: Read,
    },
    /// A range was scanned.
    Scan {
        /// The answer.
        page: Page,
    },
}

/// What a client was told about its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Committed.
    Committed(Commit),
    /// The condition at this position did not hold.
    Conflict(usize),
    /// Not committed for another reason.
    Refused,
    /// Unknown. The checker finds out by a later answer for the same token, or by what was seen. A batch that is neither
    /// is taken as not committed: give every batch a token and ask again, or let it write a key of its own and scan.
    Unknown,
}

impl Outcome {
    /// What an answer means.
    pub fn of(answer: &Result<Commit, CommitError>) -> Self {
        match answer {
            Ok(commit) => Self::Committed(*commit),
            Err(CommitError::Conflict(conflict)) => Self::Conflict(conflict.position),
            Err(CommitError::UnknownOutcome(_)) => Self::Unknown,
            Err(_) => Self::Refused,
        }
    }
}

/// All that happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
}

impl History {
    /// A history of these operations, in any order.
    pub fn new(operations: Vec<Operation>) -> Self {
        Self { operations }
    }

    /// Adds what was committed without a client, such as by the rivals of the simulated store.
    pub fn add_unobserved(&mut self, version: Version, batch: Batch) {
        let commit = Commit {
            version,
            replayed: false,
        };
        self.operations.push(Operation {
            invoked: 0,
            returned: u64::MAX,
            action: Action::Commit {
                batch,
                outcome: Outcome::Committed(commit),
            },
        });
    }

    /// Whether a strictly serialisable store can have done this.
    ///
    /// # Errors
    /// The first thing found that it cannot have done.
    pub fn check(&self) -> Result<Summary, Violation> {
        check::check(&self.operations)
    }
}

/// Notes what clients do, from many threads.
#[derive(Debug)]
pub struct Recorder {
    clock: AtomicU64,
    operations: Mutex<Vec<Operation>>,
}

/// Something has begun.
#[derive(Clone, Copy, Debug)]
pub struct Invoked(u64);

impl Recorder {
    /// A recorder of an empty history.
    pub fn new() -> Self {
        Self {
            clock: AtomicU64::new(1),
            operations: Mutex::default(),
        }
    }

    /// Note this before the store is called.
    pub fn invoke(&self) -> Invoked {
        Invoked(self.tick())
    }

    /// Note this after the store has answered.
    pub fn finish(&self, invoked: Invoked, action: Action) {
        let operation = Operation {
            invoked: invoked.0,
            returned: self.tick(),
            action,
        };
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(operation);
    }

    /// What was noted so far.
    pub fn history(&self) -> History {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        History::new(operations.clone())
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
