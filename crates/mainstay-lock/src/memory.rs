//! `lock.in-memory`: gone with the process, for development and tests.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_base::{Clock, SystemClock, Timestamp};
use mainstay_store::Reply;

use crate::error::LockError;
use crate::expiry::Expiry;
use crate::port::{FencingToken, LockStore, Renewal, TryLock, Unlock, check};

/// Settings of the component.
#[derive(Clone)]
pub struct Options {
    /// Most locks that are held at a time; more are refused. 100,000.
    pub max_locks: usize,
    /// Says when locks expire.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_locks: 100_000,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("max_locks", &self.max_locks)
            .finish_non_exhaustive()
    }
}

/// The component.
#[derive(Debug)]
pub struct InMemory {
    options: Options,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<String, Held>,
    /// By when they expire.
    expiries: BTreeSet<(Timestamp, String)>,
    last_token: u64,
}

#[derive(Debug)]
struct Held {
    owner: String,
    expires_at: Timestamp,
}

impl InMemory {
    /// Nothing is locked yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            table: Mutex::default(),
        }
    }

    fn take(&self, request: &TryLock) -> Result<Option<FencingToken>, LockError> {
        check(&request.resource, &request.owner)?;
        let (mut table, now) = self.table();
        if table.held.contains_key(&request.resource) {
            return Ok(None);
        }
        if table.held.len() >= self.options.max_locks {
            return Err(LockError::Full(self.options.max_locks));
        }
        table.hold(&request.resource, &request.owner, now + request.expiry.duration());
        table.last_token += 1;
        Ok(Some(FencingToken::from_u64(table.last_token)))
    }

    fn give_back(&self, resource: &str, owner: &str) -> Result<Unlock, LockError> {
        check(resource, owner)?;
        let (mut table, _) = self.table();
        Ok(match table.held.get(resource) {
            None => Unlock::DoesNotExist,
            Some(held) if held.owner != owner => Unlock::BelongsToOthers,
            Some(_) => {
                table.free(resource);
                Unlock::Unlocked
            }
        })
    }

    fn prolong(&self, resource: &str, owner: &str, expiry: Expiry) -> Result<Renewal, LockError> {
        check(resource, owner)?;
        let (mut table, now) = self.table();
        Ok(match table.held.get(resource) {
            None => Renewal::DoesNotExist,
            Some(held) if held.owner != owner => Renewal::BelongsToOthers,
            Some(_) => {
                table.free(resource);
                table.hold(resource, owner, now + expiry.duration());
                Renewal::Renewed
            }
        })
    }

    /// The locks that are held at this moment, and the moment.
    fn table(&self) -> (MutexGuard<'_, Table>, Timestamp) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.options.clock.now();
        table.expire(now);
        (table, now)
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl LockStore for InMemory {
    fn try_lock<'a>(&'a self, request: &'a TryLock) -> Reply<'a, Result<Option<FencingToken>, LockError>> {
        Reply::ready(self.take(request))
    }

    fn unlock<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Unlock, LockError>> {
        Reply::ready(self.give_back(resource, owner))
    }

    fn renew<'a>(
        &'a self,
        resource: &'a str,
        owner: &'a str,
        expiry: Expiry,
    ) -> Reply<'a, Result<Renewal, LockError>> {
        Reply::ready(self.prolong(resource, owner, expiry))
    }
}

impl Table {
    fn hold(&mut self, resource: &str, owner: &str, expires_at: Timestamp) {
        self.expiries.insert((expires_at, resource.to_owned()));
        let owner = owner.to_owned();
        self.held.insert(resource.to_owned(), Held { owner, expires_at });
    }

    fn free(&mut self, resource: &str) {
        if let Some((resource, held)) = self.held.remove_entry(resource) {
            self.expiries.remove(&(held.expires_at, resource));
        }
    }

    /// Each lock is removed once, so a call pays for those that were taken before it.
    fn expire(&mut self, now: Timestamp) {
        while let Some((expires_at, _)) = self.expiries.first()
            && *expires_at <= now
        {
            if let Some((_, resource)) = self.expiries.pop_first() {
                self.held.remove(&resource);
            }
        }
    }
}
