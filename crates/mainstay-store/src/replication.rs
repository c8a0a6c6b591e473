//! The second port: copying a store while it is in use, for archives of its changes and for moving to another engine.

use std::fmt;

use crate::batch::Token;
use crate::error::{CommitError, ReadError};
use crate::key::{Key, Value};
use crate::limits::{MAX_KEY_BYTES, MAX_PAGE_BYTES, MAX_VALUE_BYTES};
use crate::port::{Entry, Reply, Store};
use crate::version::Version;

/// A store that can be followed, and that can be the copy of another.
///
/// ```text
///   source (primary)                                   target (replica: takes no commits)
///     follow(name) ── from now on all changes are kept ──┐
///     scan, tokens ──────────── copy(portion) ──────────>│  as they were, with their versions
///     changes(name, after) ──── apply(changes) ─────────>│  in order, again and again
///     confirm(name, version)     what is kept may go     │
///     demote() = last version                            │
///     changes … up to it ────── apply, promote(last) ───>│  a primary now; its versions go on after `last`
/// ```
///
/// Entries may be copied in any order and at different moments while the source goes on: each page shows the source at
/// some version. It has to be copied before changes after that version are applied: an older page could bring back what
/// one of them deleted. Once all changes up to the version of the latest page were applied, the copy is what the source
/// was. Until then it mixes moments, and what is read from it is no ground for a commit after it was promoted.
///
/// A replica can be followed as well: its changes are the commits that were applied to it, and once it is promoted, its
/// own. What was copied into it is not among them, nor is what was applied below the version at which it was followed: so
/// it has to have caught up before.
///
/// # Rules
///
/// 1. **Complete.** [`changes`](Self::changes) MUST give every commit after `after` exactly once per call, in order,
///    whole, with nothing left out between them, for every `after` at or above the last confirmed version, restarts and
///    crashes included. A store MUST NOT give what is not durable.
/// 2. **Exact.** What was copied or applied MUST be read with the version that it came with.
/// 3. **One side writes.** A replica MUST refuse commits with [`CommitError::Replica`]. A commit that a store accepted
///    before it was demoted MUST be among its changes up to the version that [`demote`](Self::demote) gave.
/// 4. **Durable roles.** The role MUST outlive restarts, and a change of it MUST be durable before it is answered.
/// 5. **Onward.** After [`promote`](Self::promote), every new version MUST be above the version given and above all
///    versions that the store ever held.
/// 6. **Idempotent.** To copy, apply, confirm, follow, unfollow, demote or promote once more MUST change nothing further.
/// 7. **Bounded.** What is kept for followers MUST have a limit. When it is reached, the follower that is furthest
///    behind MUST be dropped, so that the store can go on, and be told [`FollowError::Lost`] from then on.
/// 8. **Free.** Without followers, a commit MUST NOT cost more than without this port.
///
/// Dropping the future of any method leaves it open whether it took effect; rule 6 makes asking again safe.
pub trait Replicated: Store {
    /// Keeps all changes after the version that this gives, until they are confirmed. A follower that exists already
    /// gets its last confirmed version; one that was dropped has to be removed with [`unfollow`](Self::unfollow) first.
    fn follow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<Version, FollowError>>;

    /// The changes after `after`, as many whole commits as fit into about [`MAX_CHANGES_BYTES`], one at least if there
    /// is one. Answers at once; [`Store::watch`] tells when to ask again.
    fn changes<'a>(
        &'a self,
        name: &'a FollowerName,
        after: Version,
    ) -> Reply<'a, Result<Changes, FollowError>>;

    /// Nobody will ask this follower's changes up to `up_to` again. What lies before the last confirmed version changes
    /// nothing; what lies in the future counts as the present.
    fn confirm<'a>(&'a self, name: &'a FollowerName, up_to: Version) -> Reply<'a, Result<(), FollowError>>;

    /// Keeps nothing for this follower any more. One that does not exist is no error.
    fn unfollow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<(), FollowError>>;

    /// Who follows, those who were dropped included, in the order of their names.
    fn followers(&self) -> Reply<'_, Result<Vec<Following>, ReadError>>;

    /// About how many keys it holds: for showing how far a copy is, and nothing else.
    fn about_entries(&self) -> Reply<'_, Result<u64, ReadError>>;

    /// Whether it takes commits or copies.
    fn role(&self) -> Reply<'_, Result<Role, ReadError>>;

    /// Takes no commits from now on. Gives the last version of the line; no commit will come after it here. A replica
    /// gives the latest version that it holds.
    fn demote(&self) -> Reply<'_, Result<Version, CommitError>>;

    /// Takes commits from now on, all after `after`.
    fn promote(&self, after: Version) -> Reply<'_, Result<(), CommitError>>;

    /// Tokens in the order of their bytes, beginning after `after`; at most
    /// [`MAX_PAGE_ENTRIES`](crate::limits::MAX_PAGE_ENTRIES). None that a commit may still rely on is left out, older ones may be.
    fn tokens<'a>(&'a self, after: Option<&'a Token>) -> Reply<'a, Result<Vec<(Token, Version)>, ReadError>>;

    /// Puts entries and tokens of another store here, as they are, except where a later version of the same is here
    /// already. Only a replica takes them, and not more than [`MAX_PORTION_BYTES`]. It MAY be durable only when a later
    /// [`apply`](Self::apply) or [`promote`](Self::promote) is answered.
    fn copy(&self, portion: Portion) -> Reply<'_, Result<(), CommitError>>;

    /// Does what commits of another store did, each wholly, in order. Only a replica does. Durable when answered, with all
    /// that was copied before: so also with no commits, which does nothing else. Commits up to the latest one that was
    /// applied since the store was demoted are left out.
    fn apply<'a>(&'a self, commits: &'a [Committed]) -> Reply<'a, Result<(), CommitError>>;
}

/// How many bytes of keys and values [`Replicated::changes`] gives at once, where one commit is not larger.
pub const MAX_CHANGES_BYTES: usize = 4 * 1_024 * 1_024;

/// How much a [`Portion`] may hold at most, in bytes of keys, values and tokens: every page of a scan fits.
pub const MAX_PORTION_BYTES: usize = MAX_PAGE_BYTES + MAX_KEY_BYTES + MAX_VALUE_BYTES;

/// The longest name of a follower, in bytes.
pub const MAX_FOLLOWER_NAME_BYTES: usize = 64;

/// How many may follow a store.
pub const MAX_FOLLOWERS: usize = 16;

/// Who follows: 1 to [`MAX_FOLLOWER_NAME_BYTES`] lower-case letters, digits, `-` and `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FollowerName(String);

/// A name that no follower may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be the name of a follower: it needs 1 to {MAX_FOLLOWER_NAME_BYTES} lower-case letters, digits, `-` and `.`"
)]
pub struct InvalidFollowerName(String);

/// Somebody who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Who.
    pub name: FollowerName,
    /// Changes up to here are not kept for it.
    pub confirmed: Version,
    /// Bytes that are kept because of it, roughly.
    pub kept_bytes: u64,
    /// Whether it was dropped, because it was too far behind.
    pub is_lost: bool,
}

/// Whether a store is where things are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes commits.
    Primary,
    /// It takes copies.
    Replica,
}

/// A part of the line of commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Whole commits in order.
    pub commits: Vec<Committed>,
    /// The line was looked at up to here: ask on from here. At least the version of the last commit.
    pub up_to: Version,
    /// Whether there is more already.
    pub has_more: bool,
}

/// What one commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the line.
    pub version: Version,
    /// Keys with their new values, `None` where they went.
    pub writes: Vec<(Key, Option<Value>)>,
    /// Its idempotency token.
    pub token: Option<Token>,
}

/// What is copied from another store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Keys with their values and versions.
    pub entries: Vec<Entry>,
    /// Tokens with the versions of their commits.
    pub tokens: Vec<(Token, Version)>,
}

/// Why a store cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// There is no such follower.
    #[error("nobody follows the store as `{0}`")]
    Unknown(FollowerName),
    /// It was too far behind: changes that it had not confirmed are gone.
    #[error(
        "the follower `{0}` was too far behind, and the changes it needs are gone: begin again with a new copy"
    )]
    Lost(FollowerName),
    /// It was asked for what was confirmed.
    #[error("changes after version {after} are gone, because they were confirmed up to {confirmed}")]
    Confirmed {
        /// What was asked for.
        after: Version,
        /// What was confirmed.
        confirmed: Version,
    },
    /// As many follow as may.
    #[error("{MAX_FOLLOWERS} follow the store already: remove one of them")]
    TooMany,
    /// The store cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error("{0}")]
    Commit(#[from] CommitError),
}

impl FollowerName {
    /// The follower of this name.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidFollowerName> {
        let name = name.into();
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if (1..=MAX_FOLLOWER_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
            Ok(Self(name))
        } else {
            Err(InvalidFollowerName(name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FollowerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for FollowerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl Committed {
    /// Bytes of its keys and values.
    pub fn size_bytes(&self) -> usize {
        let writes = self.writes.iter();
        writes
            .map(|(key, value)| key.as_ref().len() + value.as_ref().map_or(0, |value| value.as_ref().len()))
            .sum()
    }
}

impl Portion {
    /// Bytes of its keys, values and tokens.
    pub fn size_bytes(&self) -> usize {
        let entries = self.entries.iter();
        let entries = entries.map(|entry| entry.key.as_ref().len() + entry.value.as_ref().len());
        let tokens = self.tokens.iter().map(|(token, _)| token.as_bytes().len());
        entries.chain(tokens).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_followers_are_plain() {
        for good in ["archive", "migration-2.back", &"x".repeat(64)] {
            assert_eq!(FollowerName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "Archive", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(FollowerName::new(bad).is_err(), "{bad}");
        }
    }
}
