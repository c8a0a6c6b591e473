//! Loading: who does it, who waits, and what becomes of the outcome.

use std::future::Future;
use std::sync::Arc;

use mainstay_base::{CacheStatus, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::flights::{Boarding, Seat};
use super::marks::Mark;
use super::{Answer, Cached, Inner, Loaded, Look};
use crate::error::CacheError;
use crate::policy::{Lifetime, Verdict};
use crate::port::{Entry, Fence};

/// What a load is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing fresh is there.
    Miss,
    /// Somebody wants nothing old.
    Reload,
    /// What is there will not be fresh for long.
    Refresh,
}

impl Purpose {
    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Reload => "reload",
            Self::Refresh => "refresh",
        }
    }
}

/// What a load came to, for everybody who waits for it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome<V, E> {
    /// Somebody else had just stored it.
    Found(Entry<V>),
    Loaded(V),
    Failure(V),
    /// Not for everybody.
    Private,
    Error(CacheError<E>),
}

impl<V, E> Inner<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Loads what was not found fresh, or waits for somebody who does.
    pub(super) async fn load<P, L, F>(
        self: &Arc<Self>,
        key: &str,
        mut look: Look<V>,
        loader: L,
        purpose: Purpose,
    ) -> Result<Answer<V, P>, CacheError<E>>
    where
        P: Send + 'static,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V, P>, E>> + Send + 'static,
    {
        // Each round ends with somebody's load, which has a deadline; a further one only follows a load that was broken off.
        loop {
            match self.marks.get(key, self.clock.now()) {
                Some(Mark::Private) => return self.load_alone(key, look, loader).await,
                Some(mark) if purpose == Purpose::Miss => {
                    if let Some(stale) = self.stale(&look) {
                        if mark == Mark::Suspect {
                            self.refresh(key, look.fence, loader);
                        }
                        return Ok(Answer::Shared(stale));
                    }
                }
                _ => {}
            }
            match self.flights.board(key, look.fence) {
                Boarding::Leader(seat) => {
                    let mut outcome = seat.outcome();
                    let (hand_over, handed) = oneshot::channel();
                    let flight = self.clone().fly(seat, key.to_owned(), loader, hand_over, purpose);
                    match self.loads.clone().try_acquire_owned() {
                        Ok(permit) => drop(self.spawn(async move {
                            let _permit = permit;
                            flight.await;
                        })),
                        Err(_) => flight.await,
                    }
                    let outcome = outcome.wait_for(Option::is_some).await.ok();
                    return match outcome.and_then(|outcome| outcome.clone()) {
                        Some(Outcome::Private) => handed.await.map_or_else(
                            |_| self.failed(&look, Err(CacheError::Interrupted)),
                            |private| Ok(self.private(private)),
                        ),
                        Some(outcome) => self.settle(outcome, &look),
                        None => self.failed(&look, Err(CacheError::Interrupted)),
                    };
                }
                Boarding::Waiter(mut outcome) => {
                    let outcome = outcome.wait_for(Option::is_some).await.ok();
                    match outcome.and_then(|outcome| outcome.clone()) {
                        Some(Outcome::Private) => return self.load_alone(key, look, loader).await,
                        Some(outcome) => return self.settle(outcome, &look),
                        // Whoever loaded it is gone: this caller, or another one that waited, takes over.
                        None => look = self.look(key).await,
                    }
                }
            }
        }
    }

    /// Begins to load `key` in the background, unless that is under way, failed a moment ago, or too much is under way.
    pub(super) fn refresh<P, L, F>(self: &Arc<Self>, key: &str, fence: Fence, loader: L) -> bool
    where
        P: Send + 'static,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V, P>, E>> + Send + 'static,
    {
        let mark = self.marks.get(key, self.clock.now());
        if self.stop.is_cancelled() || mark.is_some_and(|mark| mark != Mark::Suspect) {
            return false;
        }
        let Ok(permit) = self.refreshes.clone().try_acquire_owned() else {
            return false;
        };
        let Boarding::Leader(seat) = self.flights.board(key, fence) else {
            return false;
        };
        let stop = self.stop.clone();
        let (hand_over, _) = oneshot::channel();
        let flight = self
            .clone()
            .fly(seat, key.to_owned(), loader, hand_over, Purpose::Refresh);
        self.tasks.spawn_on(
            async move {
                let _permit = permit;
                // Broken off, it lets those who wait for it take over.
                let _ = stop.run_until_cancelled(flight).await;
            },
            &self.runtime,
        );
        true
    }

    /// Runs something where it was asked for, but not as a part of who asked.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let here = Handle::try_current();
        self.tasks.spawn_on(work, here.as_ref().unwrap_or(&self.runtime))
    }

    /// Loads `key` for everybody.
    async fn fly<P, L, F>(
        self: Arc<Self>,
        seat: Seat<Outcome<V, E>>,
        key: String,
        loader: L,
        hand_over: oneshot::Sender<P>,
        purpose: Purpose,
    ) where
        P: Send + 'static,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V, P>, E>> + Send + 'static,
    {
        // Another look, because the load before this one may have ended between the first look and the boarding.
        let look = self.look(&key).await;
        let is_due = match purpose {
            Purpose::Miss => !look.verdict.is_fresh(),
            Purpose::Refresh => look.verdict != Verdict::Fresh,
            Purpose::Reload => true,
        };
        if let Some(entry) = look.entry.filter(|_| !is_due) {
            return seat.publish(Outcome::Found(entry));
        }
        self.stats.loads(purpose).increment();
        let started = self.clock.now();
        let outcome = match tokio::time::timeout(self.load_timeout, loader()).await {
            Ok(Ok(Loaded::Value(value, lifetime))) => {
                self.keep(&key, value.clone(), (lifetime, started), look.fence)
                    .await;
                Outcome::Loaded(value)
            }
            Ok(Ok(Loaded::Failure(value))) => {
                self.mark_failed(&key);
                Outcome::Failure(value)
            }
            Ok(Ok(Loaded::Private(private))) => {
                self.marks.set_private(&key, self.clock.now());
                // Nobody takes it when its caller is gone, or when this is a refresh.
                let _ = hand_over.send(private);
                Outcome::Private
            }
            Ok(Err(error)) => {
                self.mark_failed(&key);
                Outcome::Error(CacheError::Load(error))
            }
            Err(_) => {
                self.mark_failed(&key);
                Outcome::Error(CacheError::Timeout(self.load_timeout))
            }
        };
        seat.publish(outcome);
    }

    /// Loads for one caller, as a part of it: a key whose answers are private.
    async fn load_alone<P, L, F>(
        &self,
        key: &str,
        look: Look<V>,
        loader: L,
    ) -> Result<Answer<V, P>, CacheError<E>>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Loaded<V, P>, E>>,
    {
        self.stats.loads(Purpose::Miss).increment();
        let started = self.clock.now();
        match loader().await {
            Ok(Loaded::Value(value, lifetime)) => {
                self.keep(key, value.clone(), (lifetime, started), look.fence)
                    .await;
                Ok(Answer::Shared(self.loaded(value)))
            }
            Ok(Loaded::Failure(value)) => {
                self.stats.load_failures.increment();
                self.failed(&look, Ok(value))
            }
            Ok(Loaded::Private(private)) => {
                self.marks.set_private(key, self.clock.now());
                Ok(self.private(private))
            }
            Err(error) => {
                self.stats.load_failures.increment();
                self.failed(&look, Err(CacheError::Load(error)))
            }
        }
    }

    /// Stores what was loaded, unless something was invalidated since the look with this `fence`.
    pub(super) async fn keep(
        &self,
        key: &str,
        value: V,
        (lifetime, started): (Lifetime, Timestamp),
        fence: Fence,
    ) {
        self.marks.clear(key);
        let entry = Entry {
            value,
            lifetime,
            // It may be as old as the question.
            age: self.clock.now().since(started),
            salt: fastrand::u64(..),
        };
        if entry.age >= lifetime.total() {
            return;
        }
        match self.store.put(key, entry, fence).await {
            Ok(true) => {}
            Ok(false) => self.stats.discarded.increment(),
            Err(_) => self.stats.store_errors.increment(),
        }
    }

    pub(super) fn mark_failed(&self, key: &str) {
        self.stats.load_failures.increment();
        self.marks.set_failed(key, self.clock.now());
    }

    /// The answer to one of those who waited.
    fn settle<P>(&self, outcome: Outcome<V, E>, look: &Look<V>) -> Result<Answer<V, P>, CacheError<E>> {
        match outcome {
            Outcome::Found(entry) => Ok(Answer::Shared(self.give(entry, CacheStatus::Hit))),
            Outcome::Loaded(value) => Ok(Answer::Shared(self.loaded(value))),
            Outcome::Failure(value) => self.failed(look, Ok(value)),
            Outcome::Error(error) => self.failed(look, Err(error)),
            Outcome::Private => self.failed(look, Err(CacheError::Interrupted)),
        }
    }

    /// What is left when a load has failed: what is stale, else how it failed.
    fn failed<P>(
        &self,
        look: &Look<V>,
        how: Result<V, CacheError<E>>,
    ) -> Result<Answer<V, P>, CacheError<E>> {
        match self.stale(look) {
            Some(stale) => Ok(Answer::Shared(stale)),
            None => how.map(|value| Answer::Shared(self.loaded(value))),
        }
    }

    /// What a look has found, if it may be given by now although it could not be loaded anew.
    pub(super) fn stale(&self, look: &Look<V>) -> Option<Cached<V>> {
        let mut entry = look.entry.clone()?;
        entry.age = entry.age.saturating_add(self.clock.now().since(look.at));
        match self.judge(Some(&entry)) {
            Verdict::Miss => None,
            Verdict::Stale => Some(self.give(entry, CacheStatus::Stale)),
            Verdict::Fresh | Verdict::RefreshAhead => Some(self.give(entry, CacheStatus::Hit)),
        }
    }

    fn private<P>(&self, private: P) -> Answer<V, P> {
        self.stats.private.increment();
        Answer::Private(private)
    }
}
