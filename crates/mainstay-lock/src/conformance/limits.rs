//! How long names may be.

use super::{Subject, seconds, try_lock, unlock};
use crate::limits::{MAX_EXPIRY_SECONDS, MAX_OWNER_BYTES, MAX_RESOURCE_BYTES};
use crate::{InvalidName, LockError, TryLock, Unlock};

pub async fn the_longest_names_fit(subject: &impl Subject) {
    let locks = subject.locks();
    let resource = "r".repeat(MAX_RESOURCE_BYTES);
    let owner = "o".repeat(MAX_OWNER_BYTES);
    let longest = i32::try_from(MAX_EXPIRY_SECONDS).unwrap();
    assert!(try_lock(&locks, &resource, &owner, longest).await.is_some());
    assert_eq!(unlock(&locks, &resource, &owner).await, Unlock::Unlocked);
}

pub async fn more_is_refused(subject: &impl Subject) {
    let locks = subject.locks();
    let (long_resource, long_owner) = (
        "r".repeat(MAX_RESOURCE_BYTES + 1),
        "o".repeat(MAX_OWNER_BYTES + 1),
    );
    for (resource, owner, reason) in [
        ("", "me", InvalidName::EmptyResource),
        ("r", "", InvalidName::EmptyOwner),
        (
            &long_resource,
            "me",
            InvalidName::LongResource(long_resource.len()),
        ),
        ("r", &long_owner, InvalidName::LongOwner(long_owner.len())),
    ] {
        let error = LockError::InvalidName(reason);
        let request = TryLock {
            resource: resource.to_owned(),
            owner: owner.to_owned(),
            expiry: seconds(1),
        };
        assert_eq!(locks.try_lock(&request).await, Err(error.clone()));
        assert_eq!(locks.unlock(resource, owner).await, Err(error.clone()));
        assert_eq!(locks.renew(resource, owner, seconds(1)).await, Err(error));
    }
}
