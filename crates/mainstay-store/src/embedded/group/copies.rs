//! Changing sides, and taking what comes from another store.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Group;
use crate::condition::Present;
use crate::embedded::line::Standing;
use crate::embedded::log::record::Change;
use crate::embedded::recent::Recent;
use crate::embedded::space;
use crate::embedded::tree::{LATEST, TreeError};
use crate::error::CommitError;
use crate::key::Value;
use crate::replication::{Committed, Portion};
use crate::version::Version;

/// So many versions have to be left above one that is taken over.
const ROOM: u64 = 1 << 56;

/// What is asked of a store that is moved.
#[derive(Debug)]
pub(in crate::embedded) enum Request {
    /// To make no commits any more.
    Demote,
    /// To make commits, all after this version.
    Promote(Version),
    /// To take these entries and tokens.
    Copy(Portion),
    /// To do what these commits did.
    Apply(Vec<Committed>),
}

impl Group<'_> {
    /// Does it, and says where the line ends then.
    pub(in crate::embedded) fn take_over(&mut self, request: Request) -> Result<Version, CommitError> {
        match request {
            Request::Demote => self.demote(),
            Request::Promote(after) => self.promote(after)?,
            Request::Copy(portion) => self.copy(portion)?,
            Request::Apply(commits) => self.apply(commits)?,
        }
        Ok(self.line.last)
    }

    fn demote(&mut self) {
        if self.line.is_primary() {
            self.line.standing = Standing::Replica {
                applied: Version::ZERO,
            };
            let role = self.line.role();
            self.note(vec![role]);
        }
    }

    fn promote(&mut self, after: Version) -> Result<(), CommitError> {
        if self.line.is_primary() && after <= self.line.last {
            return Ok(());
        }
        let after = after.max(self.line.last);
        check_version(after)?;
        self.clock.observe(after);
        self.line.standing = Standing::Primary;
        let role = self.line.role();
        // This takes a version above all others, which the line ends with from now on.
        self.note(vec![role]);
        // What was written while it was a copy is not remembered, and what was read then is before this version.
        *self.recent = Recent::after(self.line.last);
        Ok(())
    }

    fn copy(&mut self, portion: Portion) -> Result<(), CommitError> {
        if self.line.is_primary() {
            return Err(CommitError::Primary);
        }
        let mut copies = Copies::default();
        for entry in portion.entries {
            let present = unless_damaged(self.version_of(&entry.key))?;
            let tree_key = space::data(entry.key.as_ref());
            copies.add(tree_key, entry.value.into_bytes(), entry.version, present)?;
        }
        for (token, version) in portion.tokens {
            let present = unless_damaged(self.token(&token))?;
            copies.add(
                space::token(self.generation, &token),
                Bytes::new(),
                version,
                present,
            )?;
        }
        if !copies.0.is_empty() {
            let mut changes: Vec<_> = copies.0.into_values().collect();
            self.hold(&changes);
            changes.push(self.line.role());
            self.note(changes);
        }
        Ok(())
    }

    fn apply(&mut self, commits: Vec<Committed>) -> Result<(), CommitError> {
        let Standing::Replica { mut applied } = self.line.standing else {
            return Err(CommitError::Primary);
        };
        commits
            .iter()
            .try_for_each(|commit| check_version(commit.version))?;
        let before = applied;
        for commit in commits {
            if commit.version <= applied {
                continue;
            }
            applied = commit.version;
            let changes = self.changes_of(commit);
            self.hold(&changes);
            self.line.last = self.line.last.max(applied);
            let number = self.tick();
            self.push(number, applied, changes);
        }
        if applied > before {
            self.line.standing = Standing::Replica { applied };
            let role = self.line.role();
            self.note(vec![role]);
        }
        Ok(())
    }

    fn changes_of(&self, commit: Committed) -> Vec<Change> {
        let version = Some(commit.version);
        let writes = commit.writes.into_iter().map(|(key, value)| Change {
            key: space::data(key.as_ref()),
            version: version.filter(|_| value.is_some()),
            value: value.map(Value::into_bytes),
        });
        let token = commit.token.map(|token| Change {
            key: space::token(self.generation, &token),
            value: Some(Bytes::new()),
            version,
        });
        writes.chain(token).collect()
    }

    /// Takes note of what is here now.
    fn hold(&mut self, changes: &[Change]) {
        self.has_copies = true;
        for Change { key, version, .. } in changes {
            self.line.last = self.line.last.max(version.unwrap_or(Version::ZERO));
            if space::is_data(key) {
                self.written.insert(space::key(key), *version);
            } else if let (Some(token), Some(version)) = (space::token_of(key), version) {
                self.tokens.insert(token, *version);
            }
        }
    }
}

/// What is copied, by keys of the tree, so that none is written twice.
#[derive(Default)]
struct Copies(BTreeMap<Bytes, Change>);

impl Copies {
    /// Adds a value, unless the one that is `present` is later. One of the same version is replaced: where they are not the
    /// same, it is not what was written.
    fn add(
        &mut self,
        key: Bytes,
        value: Bytes,
        version: Version,
        present: Option<Version>,
    ) -> Result<(), CommitError> {
        check_version(version)?;
        let before = self.0.get(&key).and_then(|change| change.version);
        if before.max(present).is_none_or(|before| before <= version) {
            let change = Change {
                key: key.clone(),
                value: Some(value),
                version: Some(version),
            };
            self.0.insert(key, change);
        }
        Ok(())
    }
}

/// What is damaged counts as nothing: it is mended with what is copied.
fn unless_damaged(present: Result<Option<Version>, TreeError>) -> Result<Option<Version>, TreeError> {
    match present {
        Err(TreeError::Damaged(damage)) => {
            tracing::warn!(%damage, "something damaged is replaced with a copy");
            Ok(None)
        }
        present => present,
    }
}

/// A store that holds a version has to have later ones to give.
fn check_version(version: Version) -> Result<(), CommitError> {
    if version.as_u64() < LATEST - ROOM {
        return Ok(());
    }
    let reason = format!("{version} is no version of a store: it leaves none for later commits");
    Err(CommitError::Unavailable(reason.into()))
}
