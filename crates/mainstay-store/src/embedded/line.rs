//! The line of commits: where it ends, whether it is made here, and who follows it. What of it has to last is in the tree.
//!
//! ```text
//!   role       0, of a primary; 1 | applied 8 | last 8, of a replica
//!   follower   0 or, of a lost one, 1 | confirmed 8 | bytes confirmed 8
//! ```

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::feed;
use super::log::record::Change;
use super::space;
use super::tree::{LATEST, Tree, TreeError};
use crate::error::Damage;
use crate::replication::FollowerName;
use crate::version::Version;

const PRIMARY: u8 = 0;
const REPLICA: u8 = 1;

/// What the committer knows of the line. A group works on a clone, which counts once the group is durable.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The latest version that the store holds or held. Whoever reads sees it as the version of the present.
    pub last: Version,
    pub standing: Standing,
    pub followers: BTreeMap<FollowerName, Follower>,
    /// Whether what is committed has to be kept for somebody.
    is_followed: bool,
    /// Bytes of all that was ever kept.
    pub fed_bytes: u64,
    /// The latest commit that was kept.
    fed: Version,
    /// What was kept up to here is gone.
    swept: Version,
    max_bytes: u64,
}

/// Where commits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They are made here.
    Primary,
    /// They are those of another store.
    Replica {
        /// The latest one that was applied since the store was demoted.
        applied: Version,
    },
}

/// Somebody who follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    pub is_lost: bool,
    /// It needs nothing up to here.
    pub confirmed: Version,
    /// Bytes of all that was ever kept up to there.
    pub confirmed_bytes: u64,
}

impl Line {
    /// The line of a store whose latest record has this number.
    pub(super) fn open(tree: &Tree, number: u64, max_bytes: u64) -> Result<Self, TreeError> {
        let (standing, last) = match tree.get(&space::role(), LATEST)? {
            Some((_, role)) => decode_role(role).ok_or_else(damaged)?,
            None => (Standing::Primary, None),
        };
        let mut followers = BTreeMap::new();
        for found in tree.range(space::followers(), LATEST) {
            let (key, _, value) = found?;
            let name = space::follower_name(&key).ok_or_else(damaged)?;
            followers.insert(name, Follower::decode(value).ok_or_else(damaged)?);
        }
        let (fed, fed_bytes) = feed::end(tree)?;
        let confirmed_bytes = followers.values().map(|follower| follower.confirmed_bytes).max();
        let mut line = Self {
            last: last.unwrap_or(Version::from_u64(number)),
            standing,
            followers,
            is_followed: false,
            fed_bytes: confirmed_bytes.unwrap_or(0).max(fed_bytes),
            fed,
            swept: Version::ZERO,
            max_bytes,
        };
        line.count_followers();
        Ok(line)
    }

    pub(super) fn is_primary(&self) -> bool {
        self.standing == Standing::Primary
    }

    pub(super) fn is_followed(&self) -> bool {
        self.is_followed
    }

    /// Sets or removes a follower. Gives what has to be written.
    pub(super) fn set_follower(&mut self, name: FollowerName, follower: Option<Follower>) -> Change {
        let key = space::follower(&name);
        let change = if let Some(follower) = follower {
            self.followers.insert(name, follower);
            Change::put(key, follower.encode())
        } else {
            self.followers.remove(&name);
            Change::delete(key)
        };
        self.count_followers();
        change
    }

    fn count_followers(&mut self) {
        self.is_followed = self.followers.values().any(|follower| !follower.is_lost);
    }

    /// Takes note that a commit was kept, with all that were kept before it so many bytes. Drops followers until not too
    /// much is kept, those furthest behind first. Gives what has to be written for that.
    pub(super) fn keep(&mut self, version: Version, fed_bytes: u64) -> Vec<Change> {
        self.fed = self.fed.max(version);
        self.fed_bytes = fed_bytes;
        // Versions of a copy may be below those of what it was before.
        self.swept = self
            .swept
            .min(Version::from_u64(version.as_u64().saturating_sub(1)));
        let mut changes = Vec::new();
        while let Some((name, follower)) = self.furthest()
            && self.fed_bytes.saturating_sub(follower.confirmed_bytes) > self.max_bytes
        {
            tracing::warn!(
                follower = name.as_str(),
                max_bytes = self.max_bytes,
                "a follower of the store is too far behind and was dropped: it has to begin again with a new copy"
            );
            let lost = Follower {
                is_lost: true,
                ..follower
            };
            changes.push(self.set_follower(name, Some(lost)));
        }
        changes
    }

    fn furthest(&self) -> Option<(FollowerName, Follower)> {
        let live = self.followers.iter().filter(|(_, follower)| !follower.is_lost);
        let furthest = live.min_by_key(|(_, follower)| follower.confirmed_bytes)?;
        Some((furthest.0.clone(), *furthest.1))
    }

    /// Commits that are kept and that nobody needs: after the first version, up to the second. Of what is `durable` only.
    pub(super) fn needless(&self, durable: Version) -> Option<(Version, Version)> {
        if self.swept >= self.fed {
            return None;
        }
        let live = self.followers.values().filter(|follower| !follower.is_lost);
        let needed_after = live.map(|follower| follower.confirmed).min();
        let up_to = needed_after.unwrap_or(self.fed).min(self.fed).min(durable);
        (self.swept < up_to).then_some((self.swept, up_to))
    }

    /// Takes note that what was kept up to here is gone.
    pub(super) fn sweep(&mut self, up_to: Version) {
        self.swept = self.swept.max(up_to);
    }

    /// What has to be written so that the role and the end of the line are as they are now after a restart.
    pub(super) fn role(&self) -> Change {
        let mut bytes = BytesMut::with_capacity(17);
        match self.standing {
            Standing::Primary => bytes.put_u8(PRIMARY),
            Standing::Replica { applied } => {
                bytes.put_u8(REPLICA);
                bytes.put_u64(applied.as_u64());
                bytes.put_u64(self.last.as_u64());
            }
        }
        Change::put(space::role(), bytes.freeze())
    }
}

/// The role, and where the line of a replica ends.
pub(super) fn decode_role(mut bytes: Bytes) -> Option<(Standing, Option<Version>)> {
    let version = |bytes: &mut Bytes| bytes.try_get_u64().map(Version::from_u64).ok();
    let decoded = match bytes.try_get_u8().ok()? {
        PRIMARY => (Standing::Primary, None),
        REPLICA => {
            let applied = version(&mut bytes)?;
            (Standing::Replica { applied }, Some(version(&mut bytes)?))
        }
        _ => return None,
    };
    bytes.is_empty().then_some(decoded)
}

/// It has a good checksum and makes no sense.
fn damaged() -> TreeError {
    Damage::new("what is noted about followers and copies makes no sense").into()
}

impl Follower {
    fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(17);
        bytes.put_u8(self.is_lost.into());
        bytes.put_u64(self.confirmed.as_u64());
        bytes.put_u64(self.confirmed_bytes);
        bytes.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let follower = Self {
            is_lost: match bytes.try_get_u8().ok()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            confirmed: Version::from_u64(bytes.try_get_u64().ok()?),
            confirmed_bytes: bytes.try_get_u64().ok()?,
        };
        bytes.is_empty().then_some(follower)
    }
}
