//! What keeps the changes of a former holder out.

use mainstay_store::{Batch, Condition, Conflict, Key, Version};

use crate::port::FencingToken;

/// One grant of a lock or a lease in the store: a batch that it protects is committed only while that grant has not been
/// followed by another.
///
/// A grant that has expired and was not followed by another still holds: nobody else can have acted meanwhile. One that was
/// given back, or swept away after it expired, does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    holder: Key,
    token: FencingToken,
}

impl Fence {
    pub(crate) const fn new(holder: Key, token: FencingToken) -> Self {
        Self { holder, token }
    }

    /// The grant.
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// What has to hold: the version of the holder's key is the token.
    pub fn condition(&self) -> Condition {
        Condition::KeyAt {
            key: self.holder.clone(),
            version: Version::from_u64(self.token.as_u64()),
        }
    }

    /// Commits `batch` only while the grant holds.
    pub fn protect(&self, batch: &mut Batch) {
        batch.require(self.condition());
    }

    /// Whether this is why a batch was refused; it is pointless then to make it anew.
    pub fn refused(&self, conflict: &Conflict) -> bool {
        conflict.condition == self.condition()
    }
}
