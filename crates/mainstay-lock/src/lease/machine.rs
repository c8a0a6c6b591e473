//! When to look, to take and to renew, and until when a lease is held. Pure: time and what the store said are inputs.

use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::Version;

use crate::expiry::Expiry;
use crate::holders::Held;
use crate::port::FencingToken;

/// The times of a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub expiry: Expiry,
    pub margin: Duration,
    pub heartbeat: Duration,
}

impl Timing {
    /// How long after a failure it is tried again.
    fn retry(self) -> Duration {
        self.heartbeat / 4
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing, until then or until the lease changes.
    Wait(Timestamp),
    /// Read who holds it, then [`Machine::looked`].
    Look,
    /// Take it from whom it was found with, if that is still so, then [`Machine::taken`].
    Take(Option<Held>),
    /// Renew the grant, then [`Machine::renewed`].
    Renew(FencingToken),
}

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    Done,
    /// The grant is over.
    Over,
    /// Nobody knows, or it was not tried.
    Unknown,
}

/// One contender.
#[derive(Debug)]
pub(crate) struct Machine {
    owner: String,
    timing: Timing,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Somebody else may hold it.
    Contending { seen: Seen, next_look: Timestamp },
    /// The store says that it is ours, but not since when: only a renewal can tell.
    Claiming {
        token: FencingToken,
        next_try: Timestamp,
    },
    /// It is ours.
    Holding {
        token: FencingToken,
        until: Timestamp,
        next_renewal: Timestamp,
    },
}

/// What is known of the holder.
#[derive(Debug)]
enum Seen {
    Nothing,
    Free,
    /// Unchanged since then, at the latest.
    With {
        held: Held,
        since: Timestamp,
    },
}

impl Machine {
    pub(crate) fn new(owner: String, timing: Timing, now: Timestamp) -> Self {
        let state = State::Contending {
            seen: Seen::Nothing,
            next_look: now,
        };
        Self { owner, timing, state }
    }

    /// The grant that is held and until when, as of the last successful renewal.
    pub(crate) fn holding(&self) -> Option<(FencingToken, Timestamp)> {
        match self.state {
            State::Holding { token, until, .. } => Some((token, until)),
            _ => None,
        }
    }

    pub(crate) fn next(&mut self, now: Timestamp) -> Action {
        if let State::Holding { token, until, .. } = self.state
            && until <= now
        {
            // Nobody may have noticed: then it is still ours to renew.
            self.state = State::Claiming { token, next_try: now };
        }
        match &self.state {
            State::Holding {
                token, next_renewal, ..
            } if *next_renewal <= now => Action::Renew(*token),
            State::Holding {
                until, next_renewal, ..
            } => Action::Wait(*until.min(next_renewal)),
            State::Claiming { token, next_try } if *next_try <= now => Action::Renew(*token),
            State::Claiming { next_try, .. } => Action::Wait(*next_try),
            State::Contending { seen, next_look } => match seen {
                Seen::Free => Action::Take(None),
                Seen::With { held, since } if *since + held.expiry.duration() <= now => {
                    Action::Take(Some(held.clone()))
                }
                _ if *next_look <= now => Action::Look,
                Seen::With { held, since } => Action::Wait((*since + held.expiry.duration()).min(*next_look)),
                Seen::Nothing => Action::Wait(*next_look),
            },
        }
    }

    /// Something has happened to the lease.
    pub(crate) fn woken(&mut self, now: Timestamp) {
        if let State::Contending { next_look, .. } = &mut self.state {
            *next_look = now;
        }
    }

    /// What a look has shown; `Err` when it failed. `now` is after the answer.
    pub(crate) fn looked(&mut self, now: Timestamp, found: Result<Option<Held>, ()>) {
        let State::Contending { seen, next_look } = &mut self.state else {
            return;
        };
        *next_look = now + self.timing.heartbeat;
        match found {
            Err(()) => *next_look = now + self.timing.retry(),
            Ok(None) => *seen = Seen::Free,
            Ok(Some(held)) if held.owner == self.owner => {
                let token = held.token;
                self.state = State::Claiming { token, next_try: now };
            }
            Ok(Some(held)) => {
                let since = match &*seen {
                    Seen::With { held: before, since } if sign(before) == sign(&held) => *since,
                    _ => now,
                };
                *seen = Seen::With { held, since };
            }
        }
    }

    /// What came of taking it: `Ok(None)` when it was not as it was found, `Err` when nobody knows. `started` is before it
    /// was sent.
    pub(crate) fn taken(
        &mut self,
        started: Timestamp,
        now: Timestamp,
        taken: Result<Option<FencingToken>, ()>,
    ) {
        match taken {
            Ok(Some(token)) => self.hold(token, started),
            Ok(None) => self.contend(now),
            // If it is ours after all, the look will show it.
            Err(()) => self.contend(now + self.timing.retry()),
        }
    }

    /// What came of a renewal. `started` is before it was sent.
    pub(crate) fn renewed(&mut self, started: Timestamp, now: Timestamp, renewed: Renewed) {
        let retry = now + self.timing.retry();
        match (&mut self.state, renewed) {
            (State::Holding { token, .. } | State::Claiming { token, .. }, Renewed::Done) => {
                let token = *token;
                self.hold(token, started);
            }
            (State::Holding { next_renewal, .. }, Renewed::Unknown) => *next_renewal = retry,
            (State::Claiming { next_try, .. }, Renewed::Unknown) => *next_try = retry,
            (_, Renewed::Over) => self.contend(now),
            (State::Contending { .. }, _) => {}
        }
    }

    fn hold(&mut self, token: FencingToken, started: Timestamp) {
        self.state = State::Holding {
            token,
            until: started + self.timing.expiry.duration().saturating_sub(self.timing.margin),
            next_renewal: started + self.timing.heartbeat,
        };
    }

    fn contend(&mut self, next_look: Timestamp) {
        let seen = Seen::Nothing;
        self.state = State::Contending { seen, next_look };
    }
}

/// What changes with every sign of life.
fn sign(held: &Held) -> (FencingToken, Version) {
    (held.token, held.last_sign())
}

#[cfg(test)]
mod tests;
