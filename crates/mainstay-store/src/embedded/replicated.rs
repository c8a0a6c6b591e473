//! The embedded store can be followed, and be a copy. Everything that changes goes through the committer, in one line with
//! the commits; what followers ask for is read from the tree.

use tokio::sync::oneshot;

use super::group::{copies, following};
use super::line::{Standing, decode_role};
use super::queue::Work;
use super::snapshots::Moment;
use super::tree::TreeError;
use super::{Embedded, Reader, abandoned, feed, space, tokens};
use crate::batch::{InvalidBatch, Token};
use crate::error::{CommitError, Damage, ReadError};
use crate::port::Reply;
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, MAX_CHANGES_BYTES, MAX_PORTION_BYTES, Portion,
    Replicated, Role,
};
use crate::version::Version;

impl Replicated for Embedded {
    fn follow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<Version, FollowError>> {
        Reply::waiting(self.ask_to_follow(following::Request::Follow(name.clone())))
    }

    fn changes<'a>(
        &'a self,
        name: &'a FollowerName,
        after: Version,
    ) -> Reply<'a, Result<Changes, FollowError>> {
        let moment = self.reader.snapshots.open();
        Reply::ready(feed::changes(&self.reader.tree, &moment, name, after))
    }

    fn confirm<'a>(&'a self, name: &'a FollowerName, up_to: Version) -> Reply<'a, Result<(), FollowError>> {
        let request = following::Request::Confirm(name.clone(), up_to);
        Reply::waiting(async move { self.ask_to_follow(request).await.map(drop) })
    }

    fn unfollow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<(), FollowError>> {
        let request = following::Request::Unfollow(name.clone());
        Reply::waiting(async move { self.ask_to_follow(request).await.map(drop) })
    }

    fn followers(&self) -> Reply<'_, Result<Vec<Following>, ReadError>> {
        let moment = self.reader.snapshots.open();
        Reply::ready(feed::followers(&self.reader.tree, &moment).map_err(ReadError::from))
    }

    fn about_entries(&self) -> Reply<'_, Result<u64, ReadError>> {
        Reply::ready(Ok(self.reader.tree.about_len()))
    }

    fn role(&self) -> Reply<'_, Result<Role, ReadError>> {
        let moment = self.reader.snapshots.open();
        Reply::ready(self.reader.role(&moment).map_err(ReadError::from))
    }

    fn demote(&self) -> Reply<'_, Result<Version, CommitError>> {
        Reply::waiting(self.ask_to_take_over(copies::Request::Demote))
    }

    fn promote(&self, after: Version) -> Reply<'_, Result<(), CommitError>> {
        let request = copies::Request::Promote(after);
        Reply::waiting(async move { self.ask_to_take_over(request).await.map(drop) })
    }

    fn tokens<'a>(&'a self, after: Option<&'a Token>) -> Reply<'a, Result<Vec<(Token, Version)>, ReadError>> {
        let moment = self.reader.snapshots.open();
        Reply::ready(tokens::list(&self.reader.tree, &moment, after).map_err(ReadError::from))
    }

    fn copy(&self, portion: Portion) -> Reply<'_, Result<(), CommitError>> {
        let bytes = portion.size_bytes();
        if bytes > MAX_PORTION_BYTES {
            return Reply::ready(Err(InvalidBatch::TooLarge(bytes).into()));
        }
        let request = copies::Request::Copy(portion);
        Reply::waiting(async move { self.ask_to_take_over(request).await.map(drop) })
    }

    fn apply<'a>(&'a self, commits: &'a [Committed]) -> Reply<'a, Result<(), CommitError>> {
        Reply::waiting(async move {
            let mut rest = commits;
            loop {
                let (first, after) = rest.split_at(groupful(rest));
                // Without commits as well: a primary has to refuse.
                self.ask_to_take_over(copies::Request::Apply(first.to_vec()))
                    .await?;
                if after.is_empty() {
                    return Ok(());
                }
                rest = after;
            }
        })
    }
}

/// How many of these commits are applied at once: what is asked of the committer in one piece is bounded.
fn groupful(commits: &[Committed]) -> usize {
    let mut bytes = 0;
    let fitting = commits.iter().take_while(|commit| {
        bytes += commit.size_bytes();
        bytes <= MAX_CHANGES_BYTES
    });
    fitting.count().max(1).min(commits.len())
}

impl Embedded {
    async fn ask_to_follow(&self, request: following::Request) -> Result<Version, FollowError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Work::Follow(request, answer))?;
        answered.await.unwrap_or_else(|_| Err(abandoned().into()))
    }

    async fn ask_to_take_over(&self, request: copies::Request) -> Result<Version, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Work::TakeOver(request, answer))?;
        answered.await.unwrap_or_else(|_| Err(abandoned()))
    }
}

impl Reader {
    fn role(&self, moment: &Moment) -> Result<Role, TreeError> {
        let Some((_, role)) = self.tree.get(&space::role(), moment.bound())? else {
            return Ok(Role::Primary);
        };
        match decode_role(role) {
            Some((Standing::Primary, _)) => Ok(Role::Primary),
            Some((Standing::Replica { .. }, _)) => Ok(Role::Replica),
            None => Err(Damage::new("the role of the store makes no sense").into()),
        }
    }
}
