//! The port: what every lock component promises, and what is asked of it.

use std::fmt;

use mainstay_store::Reply;

use crate::error::LockError;
use crate::expiry::Expiry;
use crate::fence::Fence;
use crate::key::{check_owner, check_resource};

/// A lock component. Resources come with their prefix; see [`KeyPrefix`](crate::KeyPrefix).
///
/// # Rules
///
/// 1. **Exclusive.** From the moment a lock is granted until it is unlocked or expires, it MUST NOT be granted again: not to
///    others, and not to the same owner either (as with Dapr's Redis lock, which is a `SET NX`).
/// 2. **Fenced.** Every grant MUST have a token greater than those of all earlier grants of the same resource, also when it
///    expired or was unlocked in between. A renewal keeps the token.
/// 3. **Expiring.** A lock that is not renewed MUST be there to be taken once its expiry has passed; see below.
/// 4. **Owned.** Only the owner that took a lock MUST be able to unlock or renew it. One that expired belongs to nobody.
/// 5. **Independent.** What happens to one resource MUST NOT change another.
///
/// # What an expiry is worth
///
/// No clock can tell a holder in time that its lock has ended: it may be paused between asking and acting, and clocks jump.
/// So an expiry decides when others get their chance, and the token decides whose changes count. Who protects changes by a
/// [`Fence`](crate::Fence), or passes the token to a system that refuses smaller ones, is safe whatever the clocks do; who
/// does not is safe as long as it is done before its lock expires.
///
/// # Cancel safety
///
/// Dropping the future of a call does not take it back: a lock may have been taken, renewed or unlocked or not.
pub trait LockStore: Send + Sync + fmt::Debug + 'static {
    /// Takes a lock if nobody holds it; `None` when somebody does. Does not wait for it. Not cancel safe, see above.
    fn try_lock<'a>(&'a self, request: &'a TryLock) -> Reply<'a, Result<Option<FencingToken>, LockError>>;

    /// Gives a lock back. Not cancel safe, see above.
    fn unlock<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Unlock, LockError>>;

    /// What protects changes in the system's store by the grant that `owner` has of a lock; `None` when it has none.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`LockError::NoFence`] when the locks are not kept in that store.
    fn fence<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Option<Fence>, LockError>> {
        let _ = (resource, owner);
        Reply::ready(Err(LockError::NoFence))
    }

    /// Lets a lock last for `expiry` from now on, which may be earlier than before. Not cancel safe, see above.
    fn renew<'a>(
        &'a self,
        resource: &'a str,
        owner: &'a str,
        expiry: Expiry,
    ) -> Reply<'a, Result<Renewal, LockError>>;
}

/// A lock that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryLock {
    /// What is to be locked, with its prefix.
    pub resource: String,
    /// Who wants it: only the same name unlocks it.
    pub owner: String,
    /// How long it lasts.
    pub expiry: Expiry,
}

/// Names one grant of a lock: grows from grant to grant of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

/// What became of a lock that was to be unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unlock {
    /// It is free.
    Unlocked,
    /// Nobody holds it, or it has expired.
    DoesNotExist,
    /// Another owner holds it.
    BelongsToOthers,
}

/// What became of a lock that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Renewal {
    /// It lasts longer.
    Renewed,
    /// Nobody holds it, or it has expired.
    DoesNotExist,
    /// Another owner holds it.
    BelongsToOthers,
}

impl FencingToken {
    /// The token with this number, as [`FencingToken::as_u64`] gave it.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number: what is passed to a system that refuses smaller ones.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whether any component may be asked about this lock. Every component asks this first.
pub(crate) fn check(resource: &str, owner: &str) -> Result<(), LockError> {
    check_resource(resource)?;
    check_owner(owner)?;
    Ok(())
}
