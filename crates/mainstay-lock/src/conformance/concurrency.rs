//! Many who want the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Subject, try_lock, unlock};
use crate::Unlock;

pub async fn one_of_many_is_granted(subject: &impl Subject) {
    for round in 0..10 {
        let resource = format!("r{round}");
        let tasks = (0..8).map(|owner| {
            let (locks, resource) = (subject.locks(), resource.clone());
            tokio::spawn(async move { try_lock(&locks, &resource, &owner.to_string(), 60).await })
        });
        let mut granted = 0;
        for task in tasks.collect::<Vec<_>>() {
            granted += usize::from(task.await.unwrap().is_some());
        }
        assert_eq!(granted, 1);
    }
}

/// A counter that is read and written apart, under the lock: no increment is lost, and tokens come in their order.
pub async fn holders_exclude_each_other(subject: &impl Subject) {
    const OWNERS: u64 = 4;
    const ROUNDS: u64 = 10;
    let (counter, last_token) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks = (0..OWNERS).map(|owner| {
        let (locks, counter, last_token) = (subject.locks(), counter.clone(), last_token.clone());
        tokio::spawn(async move {
            let owner = owner.to_string();
            let mut done = 0;
            while done < ROUNDS {
                let Some(token) = try_lock(&locks, "r", &owner, 600).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let before = counter.load(Ordering::SeqCst);
                assert!(last_token.swap(token.as_u64(), Ordering::SeqCst) < token.as_u64());
                tokio::task::yield_now().await;
                counter.store(before + 1, Ordering::SeqCst);
                assert_eq!(unlock(&locks, "r", &owner).await, Unlock::Unlocked);
                done += 1;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(counter.load(Ordering::SeqCst), OWNERS * ROUNDS);
}
