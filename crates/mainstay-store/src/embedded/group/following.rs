//! What followers ask for.

use super::Group;
use crate::embedded::feed;
use crate::embedded::line::Follower;
use crate::embedded::tree::LATEST;
use crate::replication::{FollowError, FollowerName, MAX_FOLLOWERS};
use crate::version::Version;

/// What a follower asks for, other than changes.
#[derive(Debug)]
pub(in crate::embedded) enum Request {
    /// To follow from now on.
    Follow(FollowerName),
    /// To keep nothing for it up to this version.
    Confirm(FollowerName, Version),
    /// To keep nothing for it at all.
    Unfollow(FollowerName),
}

impl Group<'_> {
    /// Does it, and says up to where it is confirmed then.
    pub(in crate::embedded) fn follow(&mut self, request: Request) -> Result<Version, FollowError> {
        match request {
            Request::Follow(name) => self.begin(name),
            Request::Confirm(name, up_to) => self.confirm(name, up_to),
            Request::Unfollow(name) => {
                if self.line.followers.contains_key(&name) {
                    let change = self.line.set_follower(name, None);
                    self.note(vec![change]);
                }
                Ok(self.line.last)
            }
        }
    }

    fn begin(&mut self, name: FollowerName) -> Result<Version, FollowError> {
        match self.line.followers.get(&name) {
            Some(follower) if follower.is_lost => return Err(FollowError::Lost(name)),
            Some(follower) => return Ok(follower.confirmed),
            None if self.line.followers.len() >= MAX_FOLLOWERS => return Err(FollowError::TooMany),
            None => {}
        }
        let confirmed = self.line.last;
        let follower = Follower {
            is_lost: false,
            confirmed,
            confirmed_bytes: self.line.fed_bytes,
        };
        let change = self.line.set_follower(name, Some(follower));
        self.note(vec![change]);
        Ok(confirmed)
    }

    fn confirm(&mut self, name: FollowerName, up_to: Version) -> Result<Version, FollowError> {
        let Some(before) = self.line.followers.get(&name).copied() else {
            return Err(FollowError::Unknown(name));
        };
        if before.is_lost {
            return Err(FollowError::Lost(name));
        }
        let confirmed = up_to.min(self.line.last);
        if confirmed <= before.confirmed {
            return Ok(before.confirmed);
        }
        // What this very group keeps is not in the tree yet; it is counted with the next confirmation.
        let bytes = feed::bytes_at(self.tree, before.confirmed, confirmed, LATEST)
            .map_err(|error| FollowError::Read(error.into()))?;
        let follower = Follower {
            is_lost: false,
            confirmed,
            confirmed_bytes: bytes.unwrap_or(before.confirmed_bytes),
        };
        let change = self.line.set_follower(name, Some(follower));
        self.note(vec![change]);
        Ok(confirmed)
    }
}
