//! The second port: following the store, and being a copy of another one.

use super::checksum::{from_database, to_database};
use super::error::describe;
use super::{Postgres, copies, feed};
use crate::batch::Token;
use crate::error::{CommitError, ReadError};
use crate::port::Reply;
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, MAX_FOLLOWERS, Portion, Replicated, Role,
};
use crate::version::Version;

impl Replicated for Postgres {
    fn follow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<Version, FollowError>> {
        Reply::waiting(async move {
            let most_followers = i64::try_from(MAX_FOLLOWERS).unwrap_or(i64::MAX);
            let most_bytes = i64::try_from(self.max_feed_bytes).unwrap_or(i64::MAX);
            let arguments = [&name.as_str() as _, &most_followers as _, &most_bytes as _];
            let rows = self.turns.call("follow", &arguments).await?;
            let Some(row) = rows.first() else {
                return Err(FollowError::TooMany);
            };
            if row.try_get(0).map_err(|error| unclear(&error))? {
                return Err(FollowError::Lost(name.clone()));
            }
            Ok(from_database(row.try_get(1).map_err(|error| unclear(&error))?))
        })
    }

    fn changes<'a>(
        &'a self,
        name: &'a FollowerName,
        after: Version,
    ) -> Reply<'a, Result<Changes, FollowError>> {
        Reply::waiting(feed::changes(&self.pool, name, after))
    }

    fn confirm<'a>(&'a self, name: &'a FollowerName, up_to: Version) -> Reply<'a, Result<(), FollowError>> {
        Reply::waiting(async move {
            let up_to = to_database(up_to);
            let arguments = [&name.as_str() as _, &up_to as _];
            let rows = self.turns.call("confirm", &arguments).await?;
            let Some(row) = rows.first() else {
                return Err(FollowError::Unknown(name.clone()));
            };
            if row.try_get(0).map_err(|error| unclear(&error))? {
                return Err(FollowError::Lost(name.clone()));
            }
            // Upkeep removes what this leaves.
            if let Err(error) = feed::trim(&self.pool).await {
                tracing::debug!(%error, "changes that nobody needs stay in the store's database for now");
            }
            Ok(())
        })
    }

    fn unfollow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<(), FollowError>> {
        Reply::waiting(async move {
            self.turns.call("unfollow", &[&name.as_str()]).await?;
            Ok(())
        })
    }

    fn followers(&self) -> Reply<'_, Result<Vec<Following>, ReadError>> {
        Reply::waiting(feed::followers(&self.pool))
    }

    fn about_entries(&self) -> Reply<'_, Result<u64, ReadError>> {
        Reply::waiting(feed::about_entries(&self.pool))
    }

    fn role(&self) -> Reply<'_, Result<Role, ReadError>> {
        Reply::waiting(feed::role(&self.pool))
    }

    fn demote(&self) -> Reply<'_, Result<Version, CommitError>> {
        Reply::waiting(async move {
            let rows = self.turns.call("demote", &[]).await?;
            let last = rows
                .first()
                .map(|row| row.try_get(0))
                .transpose()
                .map_err(|error| unclear(&error))?;
            Ok(last.map_or(Version::ZERO, from_database))
        })
    }

    fn promote(&self, after: Version) -> Reply<'_, Result<(), CommitError>> {
        Reply::waiting(async move {
            self.turns.call("promote", &[&to_database(after)]).await?;
            Ok(())
        })
    }

    fn tokens<'a>(&'a self, after: Option<&'a Token>) -> Reply<'a, Result<Vec<(Token, Version)>, ReadError>> {
        Reply::waiting(feed::tokens(&self.pool, after))
    }

    fn copy(&self, portion: Portion) -> Reply<'_, Result<(), CommitError>> {
        Reply::waiting(copies::copy(&self.turns, portion))
    }

    fn apply<'a>(&'a self, commits: &'a [Committed]) -> Reply<'a, Result<(), CommitError>> {
        Reply::waiting(copies::apply(&self.turns, commits))
    }
}

/// The answer cannot be read, though the call took effect.
fn unclear(error: &tokio_postgres::Error) -> CommitError {
    CommitError::UnknownOutcome(describe(error))
}
