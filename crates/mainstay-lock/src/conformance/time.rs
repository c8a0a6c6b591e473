//! When a lock ends by itself.

use super::{Subject, renew, try_lock, unlock};
use crate::{Renewal, Unlock};

pub async fn a_lock_expires(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
    subject.pass_seconds(8).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_none());
    subject.pass_seconds(3).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_some());
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::BelongsToOthers);
}

pub async fn what_expired_belongs_to_nobody(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
    subject.pass_seconds(11).await;
    assert_eq!(unlock(&locks, "r", "you").await, Unlock::DoesNotExist);
    assert_eq!(renew(&locks, "r", "me", 10).await, Renewal::DoesNotExist);
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::DoesNotExist);
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
}

pub async fn a_renewed_lock_lasts_longer(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
    for _ in 0..3 {
        subject.pass_seconds(8).await;
        assert_eq!(renew(&locks, "r", "me", 10).await, Renewal::Renewed);
    }
    subject.pass_seconds(8).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_none());
    subject.pass_seconds(3).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_some());
}

pub async fn a_renewal_may_shorten(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 1_000).await.is_some());
    assert_eq!(renew(&locks, "r", "me", 10).await, Renewal::Renewed);
    subject.pass_seconds(11).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_some());
}

pub async fn a_new_grant_ends_old_renewals(subject: &impl Subject) {
    let locks = subject.locks();
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
    assert_eq!(renew(&locks, "r", "me", 1_000).await, Renewal::Renewed);
    assert_eq!(unlock(&locks, "r", "me").await, Unlock::Unlocked);
    assert!(try_lock(&locks, "r", "you", 10).await.is_some());
    subject.pass_seconds(11).await;
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
}

pub async fn only_the_owner_renews(subject: &impl Subject) {
    let locks = subject.locks();
    assert_eq!(renew(&locks, "r", "me", 10).await, Renewal::DoesNotExist);
    assert!(try_lock(&locks, "r", "me", 10).await.is_some());
    assert_eq!(renew(&locks, "r", "you", 1_000).await, Renewal::BelongsToOthers);
    subject.pass_seconds(11).await;
    assert!(try_lock(&locks, "r", "you", 10).await.is_some());
}

pub async fn tokens_grow_past_an_expiry(subject: &impl Subject) {
    let locks = subject.locks();
    let mut last = None;
    for _ in 0..5 {
        let token = try_lock(&locks, "r", "me", 10).await;
        assert!(token > last, "{token:?} after {last:?}");
        last = token;
        renew(&locks, "r", "me", 10).await;
        subject.pass_seconds(11).await;
    }
}
