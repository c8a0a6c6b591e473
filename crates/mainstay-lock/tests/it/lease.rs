//! Leases on the simulated store, in paused time: every wait is over at once, and every run repeats exactly.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Rng, SplitMix64};
use mainstay_lock::lease::{InvalidTimes, Lease, Options};
use mainstay_lock::{Fence, LockError};
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{Batch, Key, Store, Value};

use crate::clocks::RuntimeClock;

const DURATION: Duration = Duration::from_secs(10);

fn start(store: &Simulated, node: &str) -> Lease {
    let options = Options::new("scheduler", node, DURATION);
    Lease::start(Arc::new(store.clone()), &options, RuntimeClock::shared()).unwrap()
}

async fn acquired(lease: &Lease) -> Fence {
    let mut standing = lease.standing().clone();
    let fence = tokio::time::timeout(DURATION * 10, standing.acquired()).await;
    fence.unwrap().unwrap()
}

async fn fenced(store: &Simulated, fence: &Fence) -> bool {
    let mut batch = Batch::new();
    batch.put(Key::new("work").unwrap(), Value::default());
    fence.protect(&mut batch);
    store.commit(batch).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_and_kept() {
    let store = Simulated::new();
    let lease = start(&store, "a");
    let fence = acquired(&lease).await;
    let other = start(&store, "b");
    for _ in 0..100 {
        tokio::time::sleep(DURATION / 4).await;
        assert_eq!(lease.standing().held().as_ref(), Some(&fence));
        assert_eq!(other.standing().token(), None);
    }
    assert!(fenced(&store, &fence).await);
    lease.stop().await;
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_at_once() {
    let store = Simulated::new();
    let first = start(&store, "a");
    let before = acquired(&first).await;
    let second = start(&store, "b");
    let mut standing = first.standing().clone();
    let stopped = tokio::time::Instant::now();
    first.stop().await;
    assert_eq!(standing.held(), None);
    standing.changed().await;
    let after = acquired(&second).await;
    assert!(after.token() > before.token());
    assert_eq!(stopped.elapsed(), Duration::ZERO);
    assert!(!fenced(&store, &before).await);
    second.stop().await;
    assert_eq!(standing.acquired().await, None);
}

/// While the store is down it can neither be renewed nor given back.
#[tokio::test(start_paused = true)]
async fn a_lease_of_a_dead_node_is_taken_over() {
    let store = Simulated::new();
    let dead = start(&store, "a");
    let before = acquired(&dead).await;
    let standing = dead.standing().clone();
    let other = start(&store, "b");
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.crash();
    // Cannot renew any more; says so in time.
    tokio::time::sleep(DURATION).await;
    assert_eq!(standing.held(), None);
    assert_eq!(other.standing().held(), None);
    drop(dead);
    store.recover();
    let fence = acquired(&other).await;
    assert!(fence.token() > before.token());
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_dropped_is_given_back() {
    let store = Simulated::new();
    let dropped = start(&store, "a");
    let before = acquired(&dropped).await;
    let other = start(&store, "b");
    let standing = dropped.standing().clone();
    let now = tokio::time::Instant::now();
    drop(dropped);
    assert!(acquired(&other).await.token() > before.token());
    assert_eq!((now.elapsed(), standing.held()), (Duration::ZERO, None));
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_in_time_changes_nothing() {
    let store = Simulated::new();
    let lease = start(&store, "a");
    let fence = acquired(&lease).await;
    store.crash();
    tokio::time::sleep(DURATION / 2).await;
    assert_eq!(lease.standing().held().as_ref(), Some(&fence));
    store.recover();
    tokio::time::sleep(DURATION).await;
    assert_eq!(lease.standing().held(), Some(fence));
    lease.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_store_is_waited_out() {
    let store = Simulated::new();
    let lease = start(&store, "a");
    acquired(&lease).await;
    store.close();
    tokio::time::sleep(DURATION * 3).await;
    assert_eq!(lease.standing().held(), None);
    lease.stop().await;
}

/// Three nodes on a store that loses answers, refuses, and whose clock jumps: never two holders, and each one's commits are
/// refused once there is another.
#[tokio::test(start_paused = true)]
async fn failures_never_make_two_holders() {
    for seed in 0..20 {
        let store = Simulated::with_faults(
            seed,
            Faults {
                unknown: 300,
                rivals: 100,
                overloads: 300,
                clock_jumps: 300,
                max_yields: 5,
                ..Faults::default()
            },
        );
        let mut rng = SplitMix64::new(seed);
        let mut leases: Vec<Lease> = (0..3).map(|node| start(&store, &node.to_string())).collect();
        let mut tokens = Vec::new();
        for round in 0..60 {
            tokio::time::sleep(DURATION.mul_f64(rng.unit())).await;
            let held: Vec<Fence> = leases
                .iter()
                .filter_map(|lease| lease.standing().held())
                .collect();
            assert!(held.len() <= 1, "seed {seed}, round {round}: {held:?}");
            tokens.extend(held.iter().map(Fence::token));
            if rng.below(10) == 0 {
                // One stops, and comes back as another.
                let lease = leases.swap_remove(rng.below(3) as usize);
                if rng.below(2) == 0 {
                    lease.stop().await;
                }
                leases.push(start(&store, "again"));
            }
        }
        assert!(tokens.is_sorted(), "seed {seed}: {tokens:?}");
        tokens.dedup();
        assert!(tokens.len() > 1, "seed {seed}: nobody else ever held it");
        for lease in leases {
            lease.stop().await;
        }
    }
}

#[tokio::test]
async fn times_are_checked() {
    let store = Arc::new(Simulated::new());
    let mut options = Options::new("scheduler", "a", DURATION);
    options.heartbeat = DURATION;
    let refused = Lease::start(store.clone(), &options, RuntimeClock::shared()).unwrap_err();
    assert!(matches!(
        refused,
        LockError::InvalidTimes(InvalidTimes::NoRoom { .. })
    ));
    let zero = Options::new("scheduler", "a", Duration::ZERO);
    assert!(Lease::start(store.clone(), &zero, RuntimeClock::shared()).is_err());
    let nameless = Options::new("", "a", DURATION);
    assert!(Lease::start(store, &nameless, RuntimeClock::shared()).is_err());
}
