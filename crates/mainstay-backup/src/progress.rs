//! How far something is.

use crate::format::Record;

/// What is told after each step. It must return quickly.
pub type Report<'a> = &'a (dyn Fn(&Progress) + Sync);

/// How far a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub phase: Phase,
    /// Keys so far.
    pub entries: u64,
    /// Commits so far.
    pub commits: u64,
    /// Bytes of keys and values so far.
    pub content_bytes: u64,
    /// Bytes of the container so far.
    pub container_bytes: u64,
}

/// What is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A store is read and a container written.
    Writing,
    /// A container is read and checked.
    Verifying,
    /// A container is read and a store written.
    Restoring,
    /// Archived changes are done again.
    Replaying,
}

impl Progress {
    pub(crate) const fn new(phase: Phase) -> Self {
        Self {
            phase,
            entries: 0,
            commits: 0,
            content_bytes: 0,
            container_bytes: 0,
        }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => {
                self.entries += 1;
                self.content_bytes += (entry.key.as_ref().len() + entry.value.as_ref().len()) as u64;
            }
            Record::Commit(commit) => {
                self.commits += 1;
                self.content_bytes += commit.size_bytes() as u64;
            }
            _ => {}
        }
    }
}
