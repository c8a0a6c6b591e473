//! The simulated store as a copy of another one, and as one that is copied.

use super::faults::Step;
use super::state::{Moment, State, Undo};
use super::{Simulated, Yields};
use crate::batch::{InvalidBatch, Token};
use crate::error::{CommitError, ReadError};
use crate::limits::MAX_PAGE_ENTRIES;
use crate::port::Reply;
use crate::replication::{
    Changes, Committed, FollowError, FollowerName, Following, MAX_PORTION_BYTES, Portion, Replicated, Role,
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
        look: impl FnOnce(&State, Moment) -> Result<T, E>,
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
        Reply::waiting(self.act(move |state| {
            let last = state.last();
            state.feed.confirm(name, up_to, last)
        }))
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

    fn about_entries(&self) -> Reply<'_, Result<u64, ReadError>> {
        Reply::waiting(self.look(|state, _| Ok(state.data.len() as u64)))
    }

    fn role(&self) -> Reply<'_, Result<Role, ReadError>> {
        Reply::waiting(self.look(|state, _| Ok(state.role)))
    }

    fn demote(&self) -> Reply<'_, Result<Version, CommitError>> {
        Reply::waiting(self.act(|state| {
            state.demote();
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

    /// The latest version that it ever held.
    fn last(&self) -> Version {
        self.clock.last()
    }

    fn demote(&mut self) {
        if self.role == Role::Primary {
            self.role = Role::Replica;
            self.applied = Version::ZERO;
        }
    }

    fn promote(&mut self, after: Version) {
        self.undo = None;
        self.clock.observe(after);
        self.show();
        self.role = Role::Primary;
    }

    fn copy(&mut self, portion: Portion) -> Result<(), CommitError> {
        self.be_replica()?;
        let bytes = portion.size_bytes();
        if bytes > MAX_PORTION_BYTES {
            return Err(InvalidBatch::TooLarge(bytes).into());
        }
        // A crash loses what was copied, until something makes it durable.
        if self.undo.is_none() {
            self.undo = Some(Undo {
                data: self.data.clone(),
                tokens: self.tokens.clone(),
            });
        }
        self.present += 1;
        for entry in portion.entries {
            let present = self.newest(&entry.key, self.present);
            if present.is_none_or(|(version, _)| version <= entry.version) {
                self.clock.observe(entry.version);
                self.write(entry.key, Some((entry.version, entry.value)));
            }
        }
        for (token, version) in portion.tokens {
            self.clock.observe(version);
            let known = self.tokens.entry(token).or_insert(version);
            *known = version.max(*known);
        }
        self.show();
        Ok(())
    }

    fn replay(&mut self, commits: &[Committed]) -> Result<(), CommitError> {
        self.be_replica()?;
        self.undo = None;
        for commit in commits {
            if commit.version <= self.applied {
                continue;
            }
            self.applied = commit.version;
            self.clock.observe(commit.version);
            self.present += 1;
            for (key, value) in &commit.writes {
                let written = value.clone().map(|value| (commit.version, value));
                self.write(key.clone(), written);
            }
            if let Some(token) = &commit.token {
                self.tokens.insert(token.clone(), commit.version);
            }
            self.feed.add(self.present, commit.clone());
        }
        self.show();
        Ok(())
    }

    fn be_replica(&self) -> Result<(), CommitError> {
        match self.role {
            Role::Replica => Ok(()),
            Role::Primary => Err(CommitError::Primary),
        }
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
