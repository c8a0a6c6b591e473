//! `lock.mainstay`: locks in the store, durable, and a condition of whatever else is committed there.

mod sightings;
mod sweep;

use std::sync::Arc;

use mainstay_base::{Clock, SystemClock};
use mainstay_store::{Reply, Store, SystemWallClock, WallClock};

use self::sightings::Sightings;
use crate::error::LockError;
use crate::expiry::Expiry;
use crate::fence::Fence;
use crate::holders::{Held, Holders};
use crate::key::check_resource;
use crate::limits::MAX_NAME_BYTES;
use crate::port::{FencingToken, LockStore, Renewal, TryLock, Unlock, check};

/// How often a call is decided anew because others changed the same lock meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// A component whose name cannot be part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a lock store: 1 to {MAX_NAME_BYTES} bytes without `/`")]
pub struct InvalidComponent(String);

/// The clocks by which a component judges what has expired.
#[derive(Clone)]
pub struct Clocks {
    /// Measures how long a lock has been seen to last.
    pub monotonic: Arc<dyn Clock>,
    /// Guesses how old a lock is that is seen for the first time.
    pub wall: Arc<dyn WallClock>,
}

/// The component. Clones are the same one.
///
/// # When a lock has expired
///
/// Locks outlive the process and are shared by several, so no timer of one process can end them. Each process measures by
/// its own monotonic clock how long it has seen a lock unchanged. Of a lock that it sees for the first time, after a start
/// or because another process took it, it takes the age from the wall clock and the version, which holds the time of its
/// commit by the store's clock, less five seconds by which the two may differ. So a wall clock that jumps while locks are
/// held changes nothing. One that is ahead by more when a lock is first seen ends that lock early; one that is behind lets
/// it last longer, by its expiry at most. That is safe enough because nothing that has to be right rests on it: the fencing
/// token does that, see [`LockStore`].
#[derive(Clone, Debug)]
pub struct Stored {
    holders: Holders,
    sightings: Arc<Sightings>,
}

impl Stored {
    /// The locks of the component `name` in this store.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Result<Self, InvalidComponent> {
        Self::with_clocks(store, name, Clocks::default())
    }

    /// The same, with the clocks that say when locks expire.
    pub fn with_clocks(store: Arc<dyn Store>, name: &str, clocks: Clocks) -> Result<Self, InvalidComponent> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('/') {
            return Err(InvalidComponent(name.to_owned()));
        }
        Ok(Self {
            holders: Holders::new(store, &format!("lock/{name}/")),
            sightings: Arc::new(Sightings::new(clocks)),
        })
    }

    /// What protects a batch of the same store by the grant `token` of `resource`.
    pub fn fence(&self, resource: &str, token: FencingToken) -> Result<Fence, LockError> {
        check_resource(resource)?;
        self.holders.fence(resource, token)
    }

    async fn fence_of(&self, resource: &str, owner: &str) -> Result<Option<Fence>, LockError> {
        check(resource, owner)?;
        let found = self.holders.find(resource).await?;
        let held = found.filter(|held| held.owner == owner && self.lives(resource, held));
        held.map(|held| self.holders.fence(resource, held.token))
            .transpose()
    }

    async fn take(&self, request: &TryLock) -> Result<Option<FencingToken>, LockError> {
        let TryLock {
            resource,
            owner,
            expiry,
        } = request;
        check(resource, owner)?;
        for _ in 0..MAX_ATTEMPTS {
            let found = self.holders.find(resource).await?;
            if found.as_ref().is_some_and(|held| self.lives(resource, held)) {
                return Ok(None);
            }
            if let Some(token) = self
                .holders
                .take(resource, owner, *expiry, found.as_ref())
                .await?
            {
                let sign = mainstay_store::Version::from_u64(token.as_u64());
                self.sightings.made(resource, sign, *expiry);
                return Ok(Some(token));
            }
        }
        Err(LockError::Contended(resource.clone()))
    }

    async fn give_back(&self, resource: &str, owner: &str) -> Result<Unlock, LockError> {
        check(resource, owner)?;
        for _ in 0..MAX_ATTEMPTS {
            match self.holders.find(resource).await? {
                Some(held) if !self.lives(resource, &held) => return Ok(Unlock::DoesNotExist),
                None => return Ok(Unlock::DoesNotExist),
                Some(held) if held.owner != owner => return Ok(Unlock::BelongsToOthers),
                Some(held) => {
                    if self.holders.release(resource, held.token).await? {
                        self.sightings.forget(resource);
                        return Ok(Unlock::Unlocked);
                    }
                }
            }
        }
        Err(LockError::Contended(resource.to_owned()))
    }

    async fn prolong(&self, resource: &str, owner: &str, expiry: Expiry) -> Result<Renewal, LockError> {
        check(resource, owner)?;
        for _ in 0..MAX_ATTEMPTS {
            match self.holders.find(resource).await? {
                Some(held) if !self.lives(resource, &held) => return Ok(Renewal::DoesNotExist),
                None => return Ok(Renewal::DoesNotExist),
                Some(held) if held.owner != owner => return Ok(Renewal::BelongsToOthers),
                Some(held) => {
                    if let Some(sign) = self.holders.renew(resource, held.token, expiry).await? {
                        self.sightings.made(resource, sign, expiry);
                        return Ok(Renewal::Renewed);
                    }
                }
            }
        }
        Err(LockError::Contended(resource.to_owned()))
    }

    fn lives(&self, resource: &str, held: &Held) -> bool {
        !self.sightings.expired(resource, held.last_sign(), held.expiry)
    }
}

impl LockStore for Stored {
    fn try_lock<'a>(&'a self, request: &'a TryLock) -> Reply<'a, Result<Option<FencingToken>, LockError>> {
        Reply::waiting(self.take(request))
    }

    fn unlock<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Unlock, LockError>> {
        Reply::waiting(self.give_back(resource, owner))
    }

    fn fence<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Option<Fence>, LockError>> {
        Reply::waiting(self.fence_of(resource, owner))
    }

    fn renew<'a>(
        &'a self,
        resource: &'a str,
        owner: &'a str,
        expiry: Expiry,
    ) -> Reply<'a, Result<Renewal, LockError>> {
        Reply::waiting(self.prolong(resource, owner, expiry))
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            monotonic: Arc::new(SystemClock::new()),
            wall: Arc::new(SystemWallClock),
        }
    }
}

impl std::fmt::Debug for Clocks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Clocks")
    }
}
