//! Who gets a lock, and who may give it back.

use super::{Subject, try_lock, unlock};
use crate::Unlock;

pub async fn a_free_lock_is_granted(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 60).await.is_some());
}

pub async fn a_held_lock_is_not_granted(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 60).await.is_some());
    assert!(try_lock(&locks, "r", "you", 60).await.is_none());
}

pub async fn the_owner_is_not_granted_it_twice(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 60).await.is_some());
    assert!(try_lock(&locks, "r", "me", 60).await.is_none());
}

pub async fn an_unlocked_lock_is_granted_again(subject: &impl Subject) {
    let locks = subject.locks();
    for owner in ["me", "you", "me", "me"] {
        assert!(try_lock(&locks, "r", owner, 60).await.is_some());
        assert_eq!(unlock(&locks, "r", owner).await, Unlock::Unlocked);
    }
}

pub async fn only_the_owner_unlocks(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 60).await.is_some());
    assert_eq!(unlock(&locks, "r", "you").await, Unlock::BelongsToOthers);
    assert!(try_lock(&locks, "r", "you", 60).await.is_none());
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::Unlocked);
}

pub async fn what_nobody_holds_cannot_be_unlocked(subject: &impl Subject) {
    let locks = subject.locks();
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::DoesNotExist);
    assert!(try_lock(&locks, "r", "me", 60).await.is_some());
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::Unlocked);
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::DoesNotExist);
}

pub async fn resources_are_independent(subject: &impl Subject) {
    let locks = subject.locks();
    for resource in ["r", "R", "r/", "r/h", "r\0", "r ", "rr", "ü", "lock||app||r"] {
        assert!(
            try_lock(&locks, resource, "me", 60).await.is_some(),
            "{resource:?}"
        );
    }
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::Unlocked);
    for resource in ["R", "r/", "rr", "lock||app||r"] {
        assert!(
            try_lock(&locks, resource, "me", 60).await.is_none(),
            "{resource:?}"
        );
    }
}

pub async fn tokens_grow(subject: &impl Subject) {
    let locks = subject.locks();
    let mut last = None;
    for _ in 0..20 {
        let token = try_lock(&locks, "r", "me", 60).await;
        assert!(token > last, "{token:?} after {last:?}");
        last = token;
        // Grants of others in between.
        try_lock(&locks, "other", "me", 60).await;
        assert_eq!(unlock(&locks, "r", "me").await, Unlock::Unlocked);
    }
}
