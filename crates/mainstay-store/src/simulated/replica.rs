//! The simulated store as a copy of another one, and as one that is copied.

use super::faults::Step;
use super::state::{State, Undo};
use super::{Simulated, Yields};
use crate::batch::Token;
use crate::error::{CommitError, ReadError};
use crate::limits::MAX_PAGE_ENTRIES;
use crate::port::Reply;
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, Portion, Replicated, Role,
};
use crate::version::Version;

impl Simulated {
    /// Keeps at most so many bytes of changes for those who follow.
    pub fn set_max_feed_bytes(&self, max_bytes: usize) {
        self.lock().feed.set_max_bytes(max_bytes);
    }

    /// Does what changes more than a commit does: at its turn, and crashing like one.
    async fn act<T, E: From<CommitError>>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let delay = self.lock().begin()?;
        Yields(delay).await;
        let (answer, delay) = {
            let mut state = self.lock();
            (state.act(act), state.delay())
        };
        Yields(delay).await;
        answer
    }

    async fn look<T, E: From<ReadError>>(
        &self,
        look: impl FnOnce(&State, Version) -> Result<T, E>,
    ) -> Result<T, E> {
        let delay = self.lock().delay();
        Yields(delay).await;
        let state = self.lock();
        let visible = state.visible()?;
        look(&state, visible)
    }
}

impl Replicated for Simulated {
    fn follow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<Version, FollowError>> {
        Reply::waiting(self.act(|state| {
            let last = state.last();
            state.feed.follow(name, last)
        }))
    }

    fn changes<'a>(
        &'a self,
        name: &'a FollowerName,
        after: Version,
    ) -> Reply<'a, Result<Changes, FollowError>> {
        Reply::waiting(self.look(move |state, visible| state.feed.changes(name, after, visible)))
    }

    fn confirm<'a>(&'a self, name: &'a FollowerName, up_to: Version) -> Reply<'a, Result<(), FollowError>> {
        Reply::waiting(self.act(move |state| state.feed.confirm(name, up_to)))
    }

    fn unfollow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<(), FollowError>> {
        Reply::waiting(self.act(|state| {
            state.feed.unfollow(name);
            Ok(())
        }))
    }

    fn followers(&self) -> Reply<'_, Result<Vec<Following>, ReadError>> {
        Reply::waiting(self.look(|state, _| Ok(state.feed.followers())))
    }

    fn role(&self) -> Reply<'_, Result<Role, ReadError>> {
        Reply::waiting(self.look(|state, _| Ok(state.role)))
    }

    fn demote(&self) -> Reply<'_, Result<Version, CommitError>> {
        Reply::waiting(self.act(|state| {
            state.role = Role::Replica;
            Ok(state.last())
        }))
    }

    fn promote(&self, after: Version) -> Reply<'_, Result<(), CommitError>> {
        Reply::waiting(self.act(move |state| {
            state.promote(after);
            Ok(())
        }))
    }

    fn tokens<'a>(&'a self, after: Option<&'a Token>) -> Reply<'a, Result<Vec<(Token, Version)>, ReadError>> {
        Reply::waiting(self.look(move |state, _| Ok(state.tokens_after(after))))
    }

    fn copy(&self, portion: Portion) -> Reply<'_, Result<(), CommitError>> {
        Reply::waiting(async move {
            self.act(move |state| state.copy(portion)).await?;
            self.shared.watchers.changed_anywhere(self.lock().last());
            Ok(())
        })
    }

    fn apply<'a>(&'a self, commits: &'a [Committed]) -> Reply<'a, Result<(), CommitError>> {
        Reply::waiting(async move {
            self.act(move |state| state.replay(commits)).await?;
            self.shared.watchers.changed_anywhere(self.lock().last());
            Ok(())
        })
    }
}

impl State {
    fn act<T, E: From<CommitError>>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.working()?;
        let crash = self.next_crash();
        let unknown = |reason: &str| Err(CommitError::UnknownOutcome(reason.into()).into());
        if matches!(crash, Some(Step::Queued | Step::Checked | Step::Written)) {
            self.crash();
            return unknown("crashed");
        }
        let answer = act(self);
        if crash.is_some() {
            self.crash();
            return unknown("crashed when durable");
        }
        answer
    }

    /// The last commit, or the last moment at which something was copied.
    fn last(&self) -> Version {
        self.clock.last()
    }

    fn promote(&mut self, after: Version) {
        self.undo = None;
        self.clock.observe(after);
        self.visible = self.clock.last();
        self.role = Role::Primary;
    }

    fn copy(&mut self, portion: Portion) -> Result<(), CommitError> {
        self.be_replica()?;
        // A crash loses what was copied, until something makes it durable.
        if self.undo.is_none() {
            self.undo = Some(Undo {
                data: self.data.clone(),
                tokens: self.tokens.clone(),
            });
        }
        let versions = portion.entries.iter().map(|entry| entry.version);
        let at = self.moment_after(versions.max());
        for entry in portion.entries {
            self.write(at, entry.key, Some((entry.version, entry.value)));
        }
        self.tokens.extend(portion.tokens);
        Ok(())
    }

    fn replay(&mut self, commits: &[Committed]) -> Result<(), CommitError> {
        self.be_replica()?;
        self.undo = None;
        for commit in commits {
            let at = self.moment_after(Some(commit.version));
            for (key, value) in &commit.writes {
                let written = value.clone().map(|value| (commit.version, value));
                self.write(at, key.clone(), written);
            }
            if let Some(token) = &commit.token {
                self.tokens.insert(token.clone(), commit.version);
            }
        }
        Ok(())
    }

    fn be_replica(&self) -> Result<(), CommitError> {
        match self.role {
            Role::Replica => Ok(()),
            Role::Primary => Err(CommitError::Primary),
        }
    }

    /// A new moment, at which everything up to `version` may be seen.
    fn moment_after(&mut self, version: Option<Version>) -> Version {
        self.clock.observe(version.unwrap_or_default());
        self.visible = self.clock.tick(self.wall_ms);
        self.visible
    }

    fn tokens_after(&self, after: Option<&Token>) -> Vec<(Token, Version)> {
        let known = self.tokens.iter();
        let mut later: Vec<_> = known
            .filter(|(token, _)| after.is_none_or(|after| token.as_bytes() > after.as_bytes()))
            .map(|(token, version)| (token.clone(), *version))
            .collect();
        later.sort_unstable_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
        later.truncate(MAX_PAGE_ENTRIES);
        later
    }
}
