//! A store that breaks off at a chosen call of those that change something and are not a client's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_base::Reply;
use mainstay_store::simulated::Simulated;
use mainstay_store::{
    Batch, Changes, Commit, CommitError, Committed, FollowError, FollowerName, Following, Key, KeyWatch,
    Page, Portion, Read, ReadError, Replicated, Role, Scan, Snapshot, Store, Token, Version, Watch,
};
use tokio::sync::Notify;

/// Counts the calls of stores and journal, and breaks off at one of them.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    calls: AtomicU64,
    /// At which call; 0 for never.
    at: AtomicU64,
    broken: Notify,
}

/// When it breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing has happened.
    Before,
    /// It has happened, and nobody is told.
    After,
}

impl Breaker {
    pub(crate) fn at(call: u64) -> Arc<Self> {
        let breaker = Self::default();
        breaker.at.store(call, Ordering::SeqCst);
        Arc::new(breaker)
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn broken(&self) {
        self.broken.notified().await;
    }

    fn is_it(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        call == self.at.load(Ordering::SeqCst)
    }

    /// Does it, unless this is the call to break off at: then the process that waits for it will end.
    pub(crate) async fn call<T>(&self, moment: Moment, work: impl Future<Output = T>) -> T {
        if !self.is_it() {
            return work.await;
        }
        if moment == Moment::After {
            work.await;
        }
        self.broken.notify_one();
        std::future::pending().await
    }
}

/// A simulated store behind a breaker.
#[derive(Clone, Debug)]
pub(crate) struct Breaking {
    pub(crate) store: Simulated,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) moment: Moment,
}

impl Breaking {
    fn call<'a, T: Send + 'a>(&'a self, work: Reply<'a, T>) -> Reply<'a, T> {
        Reply::waiting(self.breaker.call(self.moment, work))
    }
}

impl Store for Breaking {
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>> {
        self.store.commit(batch)
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        self.store.read(keys)
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        self.store.scan(scan)
    }

    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>> {
        self.store.snapshot()
    }

    fn watch(&self, prefix: bytes::Bytes) -> Watch {
        self.store.watch(prefix)
    }

    fn watch_keys(&self, prefix: bytes::Bytes) -> KeyWatch {
        self.store.watch_keys(prefix)
    }
}

impl Replicated for Breaking {
    fn follow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<Version, FollowError>> {
        self.call(self.store.follow(name))
    }

    fn changes<'a>(
        &'a self,
        name: &'a FollowerName,
        after: Version,
    ) -> Reply<'a, Result<Changes, FollowError>> {
        self.call(self.store.changes(name, after))
    }

    fn confirm<'a>(&'a self, name: &'a FollowerName, up_to: Version) -> Reply<'a, Result<(), FollowError>> {
        self.call(self.store.confirm(name, up_to))
    }

    fn unfollow<'a>(&'a self, name: &'a FollowerName) -> Reply<'a, Result<(), FollowError>> {
        self.call(self.store.unfollow(name))
    }

    fn followers(&self) -> Reply<'_, Result<Vec<Following>, ReadError>> {
        self.store.followers()
    }

    fn about_entries(&self) -> Reply<'_, Result<u64, ReadError>> {
        self.store.about_entries()
    }

    fn role(&self) -> Reply<'_, Result<Role, ReadError>> {
        self.store.role()
    }

    fn demote(&self) -> Reply<'_, Result<Version, CommitError>> {
        self.call(self.store.demote())
    }

    fn promote(&self, after: Version) -> Reply<'_, Result<(), CommitError>> {
        self.call(self.store.promote(after))
    }

    fn tokens<'a>(&'a self, after: Option<&'a Token>) -> Reply<'a, Result<Vec<(Token, Version)>, ReadError>> {
        self.store.tokens(after)
    }

    fn copy(&self, portion: Portion) -> Reply<'_, Result<(), CommitError>> {
        self.call(self.store.copy(portion))
    }

    fn apply<'a>(&'a self, commits: &'a [Committed]) -> Reply<'a, Result<(), CommitError>> {
        self.call(self.store.apply(commits))
    }
}
