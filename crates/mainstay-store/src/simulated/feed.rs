//! Who follows the simulated store, and what is kept for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, MAX_CHANGES_BYTES, MAX_FOLLOWERS,
};
use crate::version::Version;

/// Changes since the follower that is furthest behind. Whatever is here counts as durable.
#[derive(Debug)]
pub(super) struct Feed {
    confirmed: BTreeMap<FollowerName, Version>,
    lost: BTreeSet<FollowerName>,
    kept: VecDeque<Committed>,
    kept_bytes: usize,
    max_bytes: usize,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            confirmed: BTreeMap::new(),
            lost: BTreeSet::new(),
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

    pub(super) fn is_followed(&self) -> bool {
        !self.confirmed.is_empty()
    }

    /// Keeps a commit; without followers, there is nothing to keep it for.
    pub(super) fn add(&mut self, commit: Committed) {
        if self.is_followed() {
            self.kept_bytes += commit.size_bytes();
            self.kept.push_back(commit);
            self.bound();
        }
    }

    pub(super) fn follow(&mut self, name: &FollowerName, last: Version) -> Result<Version, FollowError> {
        if self.lost.contains(name) {
            return Err(FollowError::Lost(name.clone()));
        }
        if let Some(confirmed) = self.confirmed.get(name) {
            return Ok(*confirmed);
        }
        if self.confirmed.len() + self.lost.len() >= MAX_FOLLOWERS {
            return Err(FollowError::TooMany);
        }
        self.confirmed.insert(name.clone(), last);
        Ok(last)
    }

    pub(super) fn unfollow(&mut self, name: &FollowerName) {
        self.confirmed.remove(name);
        self.lost.remove(name);
        self.let_go();
    }

    pub(super) fn confirm(&mut self, name: &FollowerName, up_to: Version) -> Result<(), FollowError> {
        self.confirmed_by(name)?;
        if let Some(confirmed) = self.confirmed.get_mut(name) {
            *confirmed = (*confirmed).max(up_to);
        }
        self.let_go();
        Ok(())
    }

    /// The changes after `after`, as far as they can be seen at `visible`.
    pub(super) fn changes(
        &self,
        name: &FollowerName,
        after: Version,
        visible: Version,
    ) -> Result<Changes, FollowError> {
        let confirmed = self.confirmed_by(name)?;
        if after < confirmed {
            return Err(FollowError::Confirmed { after, confirmed });
        }
        let mut changes = Changes {
            commits: Vec::new(),
            up_to: after.max(visible),
            has_more: false,
        };
        let mut bytes = 0;
        let later = self.kept.iter();
        for commit in later.filter(|commit| commit.version > after && commit.version <= visible) {
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
        let followers = self.confirmed.iter().map(|(name, confirmed)| {
            let kept = self.kept.iter();
            let kept = kept.filter(|commit| commit.version > *confirmed);
            Following {
                name: name.clone(),
                confirmed: *confirmed,
                kept_bytes: kept.map(|commit| commit.size_bytes() as u64).sum(),
            }
        });
        followers.collect()
    }

    fn confirmed_by(&self, name: &FollowerName) -> Result<Version, FollowError> {
        match self.confirmed.get(name) {
            Some(confirmed) => Ok(*confirmed),
            None if self.lost.contains(name) => Err(FollowError::Lost(name.clone())),
            None => Err(FollowError::Unknown(name.clone())),
        }
    }

    /// Drops whoever is furthest behind until what is kept is within the limit.
    fn bound(&mut self) {
        while self.kept_bytes > self.max_bytes
            && let Some((name, _)) = self.confirmed.iter().min_by_key(|(_, confirmed)| **confirmed)
        {
            let name = name.clone();
            self.confirmed.remove(&name);
            self.lost.insert(name);
            self.let_go();
        }
    }

    /// Lets go of what nobody needs.
    fn let_go(&mut self) {
        let needed_after = self.confirmed.values().min().copied();
        while let Some(first) = self.kept.front()
            && needed_after.is_none_or(|needed_after| first.version <= needed_after)
        {
            self.kept_bytes -= first.size_bytes();
            self.kept.pop_front();
        }
    }
}
