//! The port: what every store promises, and what is asked of it.

use std::fmt;

pub use mainstay_base::Reply;

use crate::batch::{Batch, Condition};
use crate::error::{CommitError, ReadError};
use crate::key::{Key, KeyRange, Value};
use crate::version::Version;
use crate::watch::{KeyWatch, Watch};

/// An ordered, transactional key-value store. Everything durable in Mainstay stands on this port.
///
/// ```text
///            commit(batch)                                   snapshot()
///                 │                                              │
///                 v                                              v
///   ── v1 ── v2 ── v3 ── v4 ─┬─ v5 ── v6 ──> (the future)   sees v1..=v4,
///      └──────────┬──────────┘                              all of it, for as
///        committed, durable, visible                        long as it lives
/// ```
///
/// All commits of a store stand in one line, their versions grow along it, and every read sees a beginning of that line.
///
/// # Rules
///
/// 1. **Atomic.** The writes of a batch MUST become visible all at once or never.
/// 2. **Strictly serialisable.** The line MUST respect real time: a commit or read that begins after a commit was
///    answered MUST come after it. Conditions MUST hold at the batch's own place in the line.
/// 3. **Durable.** A commit MUST be on stable storage (`fdatasync` or its equal) before it is answered. A read MUST NOT
///    show what could still be lost.
/// 4. **No gaps.** A snapshot that shows a version MUST show every commit with a lower one, and no commit with a lower
///    version may appear later: a reader of a log that remembers the last key it saw misses nothing.
/// 5. **Honest.** [`CommitError::UnknownOutcome`] MUST be the answer when, and only when, the store cannot tell. Every
///    other error means that nothing was written and nothing will be.
/// 6. **Exact.** A [`CommitError::Conflict`] MUST name a condition that did not hold at some moment between the call and
///    its answer. For a range, a key that changed and changed back counts as changed or not, as the adapter likes.
/// 7. **Idempotent.** A batch whose token was committed before MUST be answered with the first commit's version, writing
///    nothing, whatever else is in it and whatever happened in between, crashes included. A token MUST be remembered for
///    [`TOKEN_LIFETIME`] at least and MAY be forgotten afterwards.
/// 8. **Sound.** Bytes that are not the ones written MUST be reported as damaged, never given out, and MUST NOT pass for
///    an absent key.
/// 9. **Bounded.** More waiting work than the adapter has room for MUST be refused at once with
///    [`CommitError::Overloaded`].
/// 10. **Unblocked.** Reads MUST NOT wait for commits.
///
/// # Cancel safety
///
/// Dropping the future of a read has no effect. Dropping the future of a commit does not take the batch back: it may be
/// committed or not, as after an unknown outcome.
///
/// # Why a trait object
///
/// Which store it is, is known when the manifest is read. One pointer that every layer shares keeps them free of type
/// parameters; what that costs per call is hidden by [`Reply`], which needs no allocation when the answer is at hand, as
/// it is for reads of the embedded store.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Commits a batch: see the rules above.
    ///
    /// Not cancel safe: see above.
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>>;

    /// Reads keys at one snapshot, the present one. Cancel safe.
    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>>;

    /// Reads a page of a range at one snapshot, the present one. Cancel safe.
    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>>;

    /// The present moment, to be read several times. Cancel safe.
    ///
    /// It costs the store memory for as long as it lives, so it should not live long; a store MAY refuse reads of one
    /// that is older than [`SNAPSHOT_LIFETIME`].
    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>>;

    /// Whether asking again with the same token makes an unknown outcome known while the store stays open. Where it does
    /// not, a token is only worth its cost to who asks again after a restart.
    fn resolves_outcomes(&self) -> bool {
        true
    }

    /// Tells when a commit has written a key that begins with `prefix`. What happens after this call is not missed.
    fn watch(&self, prefix: bytes::Bytes) -> Watch;

    /// Tells which keys that begin with `prefix` commits have written, for who remembers what it read. What happens after
    /// this call is not missed.
    fn watch_keys(&self, prefix: bytes::Bytes) -> KeyWatch;
}

/// A moment of a store: sees all commits up to its version, and none after it.
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// The version up to which commits are seen.
    fn version(&self) -> Version;

    /// Reads keys. Cancel safe.
    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>>;

    /// Reads a page of a range. Cancel safe.
    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>>;
}

/// How long a store remembers a token at least.
pub const TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_secs(600);

/// How long a snapshot can be read at least.
pub const SNAPSHOT_LIFETIME: std::time::Duration = std::time::Duration::from_secs(300);

/// A batch was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its place in the line, and the version of all that it wrote.
    pub version: Version,
    /// Whether it was committed before under the same token, so that nothing was written now.
    pub replayed: bool,
}

/// Values at one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The version of the snapshot.
    pub at: Version,
    /// One per key, in the order of the keys; `None` where the key does not exist.
    pub values: Vec<Option<Stored>>,
}

/// A value and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Value,
    /// The commit.
    pub version: Version,
}

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Which keys.
    pub range: KeyRange,
    /// How many at most; [`MAX_PAGE_ENTRIES`](crate::limits::MAX_PAGE_ENTRIES) bounds it.
    pub limit: usize,
    /// From which end.
    pub direction: Direction,
}

/// From which end a range is scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The smallest key first.
    #[default]
    Forward,
    /// The largest key first.
    Backward,
}

/// A part of a range at one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The version of the snapshot.
    pub at: Version,
    /// The keys in the order of the scan.
    pub entries: Vec<Entry>,
    /// The part of the range that was looked at: all of it, or up to the last entry when the page was full.
    pub covered: KeyRange,
    /// The part of the range that was not looked at.
    pub rest: Option<KeyRange>,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Value,
    /// The commit that wrote it.
    pub version: Version,
}

impl Scan {
    /// All of `range` as far as one page goes, smallest key first.
    pub const fn new(range: KeyRange) -> Self {
        Self {
            range,
            limit: crate::limits::MAX_PAGE_ENTRIES,
            direction: Direction::Forward,
        }
    }

    /// At most `limit` entries.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Largest key first.
    #[must_use]
    pub const fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }
}

impl Page {
    /// The condition that nothing has changed in the part of the range that this page covers.
    pub fn unchanged(&self) -> Condition {
        Condition::RangeUnchanged {
            range: self.covered.clone(),
            since: self.at,
            count: self.entries.len() as u64,
        }
    }
}
