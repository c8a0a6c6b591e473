//! Who follows the simulated store, and what is kept for them.

use std::collections::{BTreeMap, VecDeque};

use super::state::Moment;
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, MAX_CHANGES_BYTES, MAX_FOLLOWERS,
};
use crate::version::Version;

/// Changes since the follower that is furthest behind. Whatever is here counts as durable.
#[derive(Debug)]
pub(super) struct Feed {
    followers: BTreeMap<FollowerName, Follower>,
    /// With the moments of the commits.
    kept: VecDeque<(u64, Committed)>,
    kept_bytes: usize,
    max_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Follower {
    confirmed: Version,
    is_lost: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            followers: BTreeMap::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            max_bytes: usize::MAX,
        }
    }
}

impl Feed {
    pub(super) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.bound();
    }

    /// Keeps a commit; without followers, there is nothing to keep it for.
    pub(super) fn add(&mut self, moment: u64, commit: Committed) {
        if self.furthest().is_some() {
            self.kept_bytes += commit.size_bytes();
            self.kept.push_back((moment, commit));
            self.bound();
        }
    }

    pub(super) fn follow(&mut self, name: &FollowerName, last: Version) -> Result<Version, FollowError> {
        match self.confirmed(name) {
            Err(FollowError::Unknown(_)) if self.followers.len() >= MAX_FOLLOWERS => {
                Err(FollowError::TooMany)
            }
            Err(FollowError::Unknown(_)) => {
                let follower = Follower {
                    confirmed: last,
                    is_lost: false,
                };
                self.followers.insert(name.clone(), follower);
                Ok(last)
            }
            known => known,
        }
    }

    pub(super) fn unfollow(&mut self, name: &FollowerName) {
        self.followers.remove(name);
        self.let_go();
    }

    pub(super) fn confirm(
        &mut self,
        name: &FollowerName,
        up_to: Version,
        last: Version,
    ) -> Result<(), FollowError> {
        self.confirmed(name)?;
        if let Some(follower) = self.followers.get_mut(name) {
            follower.confirmed = follower.confirmed.max(up_to.min(last));
        }
        self.let_go();
        Ok(())
    }

    /// The changes after `after`, as far as they can be seen.
    pub(super) fn changes(
        &self,
        name: &FollowerName,
        after: Version,
        visible: Moment,
    ) -> Result<Changes, FollowError> {
        let confirmed = self.confirmed(name)?;
        if after < confirmed {
            return Err(FollowError::Confirmed { after, confirmed });
        }
        let mut changes = Changes {
            commits: Vec::new(),
            up_to: after.max(visible.version),
            has_more: false,
        };
        let mut bytes = 0;
        let seen = self
            .kept
            .iter()
            .take_while(|(moment, _)| *moment <= visible.number);
        for (_, commit) in seen.filter(|(_, commit)| commit.version > after) {
            bytes += commit.size_bytes();
            if bytes > MAX_CHANGES_BYTES
                && let Some(last) = changes.commits.last()
            {
                changes.up_to = last.version;
                changes.has_more = true;
                break;
            }
            changes.commits.push(commit.clone());
        }
        Ok(changes)
    }

    pub(super) fn followers(&self) -> Vec<Following> {
        let followers = self.followers.iter().map(|(name, follower)| {
            let kept = self.kept.iter().map(|(_, commit)| commit);
            let kept = kept.filter(|commit| !follower.is_lost && commit.version > follower.confirmed);
            Following {
                name: name.clone(),
                confirmed: follower.confirmed,
                kept_bytes: kept.map(|commit| commit.size_bytes() as u64).sum(),
                is_lost: follower.is_lost,
            }
        });
        followers.collect()
    }

    fn confirmed(&self, name: &FollowerName) -> Result<Version, FollowError> {
        match self.followers.get(name) {
            None => Err(FollowError::Unknown(name.clone())),
            Some(follower) if follower.is_lost => Err(FollowError::Lost(name.clone())),
            Some(follower) => Ok(follower.confirmed),
        }
    }

    /// Whom what is kept is kept for: up to where it has confirmed.
    fn furthest(&self) -> Option<Version> {
        let followers = self.followers.values().filter(|follower| !follower.is_lost);
        followers.map(|follower| follower.confirmed).min()
    }

    /// Drops whoever is furthest behind until what is kept is within the limit.
    fn bound(&mut self) {
        while self.kept_bytes > self.max_bytes
            && let Some(furthest) = self.furthest()
        {
            let followers = self.followers.values_mut();
            for follower in followers.filter(|follower| follower.confirmed == furthest) {
                follower.is_lost = true;
            }
            self.let_go();
        }
    }

    /// Lets go of what nobody needs.
    fn let_go(&mut self) {
        let furthest = self.furthest();
        while let Some((_, first)) = self.kept.front()
            && furthest.is_none_or(|furthest| first.version <= furthest)
        {
            self.kept_bytes -= first.size_bytes();
            self.kept.pop_front();
        }
    }
}
