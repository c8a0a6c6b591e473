//! `lock.mainstay`: the conformance suite on every adapter of the store, restarts, fences, and its sweeper.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_lock::conformance::Subject;
use mainstay_lock::{Expiry, FencingToken, LockError, LockStore, Renewal, Stored, TryLock, Unlock};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{Batch, CommitError, Key, KeyRange, Scan, Store, Value};

use crate::clocks::Hands;

struct OnSimulated {
    hands: Hands,
    store: Simulated,
    locks: Stored,
}

impl OnSimulated {
    fn new(store: Simulated) -> Self {
        let hands = Hands::default();
        // Where the simulated store's clock begins.
        hands.wall.0.store(10 * 24 * 60 * 60 * 1_000, Ordering::SeqCst);
        let locks = Stored::with_clocks(Arc::new(store.clone()), "lockstore", hands.clocks()).unwrap();
        Self { hands, store, locks }
    }

    /// Another process, or the same one after a start: it knows nothing but what the store says.
    fn restarted(&self) -> Stored {
        Stored::with_clocks(Arc::new(self.store.clone()), "lockstore", self.hands.clocks()).unwrap()
    }

    async fn lock(&self, resource: &str, owner: &str) -> Option<FencingToken> {
        self.locks.try_lock(&request(resource, owner)).await.unwrap()
    }

    async fn keys(&self) -> usize {
        let page = self.store.scan(&Scan::new(KeyRange::all())).await.unwrap();
        page.entries.len()
    }
}

fn expiry() -> Expiry {
    Expiry::from_seconds(10).unwrap()
}

fn request(resource: &str, owner: &str) -> TryLock {
    TryLock {
        resource: resource.to_owned(),
        owner: owner.to_owned(),
        expiry: expiry(),
    }
}

impl Subject for OnSimulated {
    async fn open() -> Self {
        Self::new(Simulated::new())
    }

    fn locks(&self) -> Arc<dyn LockStore> {
        Arc::new(self.locks.clone())
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.hands.advance(Duration::from_secs(seconds.into()));
    }
}

mod simulated {
    mainstay_lock::conformance_suite!(super::OnSimulated);
}

struct OnDisk {
    hands: Hands,
    locks: Stored,
    _folder: tempfile::TempDir,
}

impl Subject for OnDisk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::default();
        let store = Arc::new(Embedded::open(&Options::new(folder.path())).unwrap());
        let locks = Stored::with_clocks(store, "lockstore", hands.clocks()).unwrap();
        Self {
            hands,
            locks,
            _folder: folder,
        }
    }

    fn locks(&self) -> Arc<dyn LockStore> {
        Arc::new(self.locks.clone())
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.hands.advance(Duration::from_secs(seconds.into()));
    }
}

mod embedded {
    mainstay_lock::conformance_suite!(super::OnDisk);
}

#[tokio::test]
async fn components_do_not_share_locks() {
    let store = Arc::new(Simulated::new());
    let one = Stored::new(store.clone(), "one").unwrap();
    let two = Stored::new(store.clone(), "two").unwrap();
    for locks in [&one, &two] {
        assert!(locks.try_lock(&request("r", "me")).await.unwrap().is_some());
    }
    for wrong in ["", "a/b", &"n".repeat(129)] {
        assert!(Stored::new(store.clone(), wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn locks_outlive_the_process_until_they_expire() {
    let subject = OnSimulated::open().await;
    subject.lock("r", "me").await.unwrap();
    subject.pass_seconds(6).await;
    let restarted = subject.restarted();
    assert_eq!(restarted.try_lock(&request("r", "you")).await.unwrap(), None);
    // Six seconds old by the wall clock, which may be wrong by five.
    subject.pass_seconds(8).await;
    assert_eq!(restarted.try_lock(&request("r", "you")).await.unwrap(), None);
    subject.pass_seconds(2).await;
    assert!(restarted.try_lock(&request("r", "you")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_expired_while_nobody_ran_is_free() {
    let subject = OnSimulated::open().await;
    let before = subject.lock("r", "me").await;
    subject.pass_seconds(15).await;
    let restarted = subject.restarted();
    assert_eq!(restarted.unlock("r", "me").await.unwrap(), Unlock::DoesNotExist);
    assert!(restarted.try_lock(&request("r", "you")).await.unwrap() > before);
}

/// Another process renews: whoever saw the lock before does not end it too early.
#[tokio::test]
async fn renewals_of_others_count() {
    let subject = OnSimulated::open().await;
    let other = subject.restarted();
    subject.lock("r", "me").await.unwrap();
    assert_eq!(other.try_lock(&request("r", "you")).await.unwrap(), None);
    subject.pass_seconds(8).await;
    assert_eq!(
        subject.locks.renew("r", "me", expiry()).await.unwrap(),
        Renewal::Renewed
    );
    // The simulated store's clock stands still, so to the other the renewal seems eight seconds old, three of which count.
    assert_eq!(other.try_lock(&request("r", "you")).await.unwrap(), None);
    subject.pass_seconds(6).await;
    assert_eq!(other.try_lock(&request("r", "you")).await.unwrap(), None);
    subject.pass_seconds(2).await;
    assert!(other.try_lock(&request("r", "you")).await.unwrap().is_some());
}

fn write(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Key::new(name.to_owned()).unwrap(), Value::new("v").unwrap());
    batch
}

#[tokio::test]
async fn a_fence_keeps_former_holders_out() {
    let subject = OnSimulated::open().await;
    let token = subject.lock("r", "me").await.unwrap();
    let mine = subject.locks.fence("r", token).unwrap();
    let commit = async |fence: &mainstay_lock::Fence| {
        let mut batch = write("order");
        fence.protect(&mut batch);
        subject.store.commit(batch).await
    };
    commit(&mine).await.unwrap();
    subject.locks.renew("r", "me", expiry()).await.unwrap();
    commit(&mine).await.unwrap();
    // Expired, but nobody came after: nobody else can have acted.
    subject.pass_seconds(11).await;
    commit(&mine).await.unwrap();

    let token = subject.lock("r", "you").await.unwrap();
    let refused = commit(&mine).await.unwrap_err();
    let CommitError::Conflict(conflict) = refused else {
        panic!("{refused}");
    };
    assert!(mine.refused(&conflict));
    let yours = subject.locks.fence("r", token).unwrap();
    assert!(!yours.refused(&conflict));
    commit(&yours).await.unwrap();
    subject.locks.unlock("r", "you").await.unwrap();
    assert!(commit(&yours).await.is_err());
}

#[tokio::test]
async fn what_expired_is_swept_and_nothing_else() {
    let subject = OnSimulated::open().await;
    for number in 0..600 {
        subject.lock(&format!("r{number}"), "me").await.unwrap();
    }
    subject.pass_seconds(5).await;
    let kept = subject.lock("kept", "me").await.unwrap();
    subject.locks.renew("r7", "me", expiry()).await.unwrap();
    assert_eq!(subject.locks.sweep().await.unwrap(), 0);
    subject.pass_seconds(6).await;
    assert_eq!(subject.locks.sweep().await.unwrap(), 599);
    assert_eq!(subject.keys().await, 3);
    assert_eq!(subject.lock("r7", "you").await, None);
    assert_eq!(subject.lock("kept", "you").await, None);
    assert!(subject.lock("r8", "you").await > Some(kept));
}

#[tokio::test]
async fn the_sweeper_runs_until_it_is_stopped() {
    let subject = OnSimulated::open().await;
    subject.lock("r", "me").await.unwrap();
    subject.pass_seconds(11).await;
    let mut watch = subject.store.watch("lock/".into());
    let sweeper = subject.locks.start_sweeper(Duration::from_millis(5));
    tokio::time::timeout(Duration::from_secs(20), watch.changed())
        .await
        .expect("it sweeps")
        .unwrap();
    sweeper.stop().await;
    assert_eq!(subject.keys().await, 0);
}

/// A lock that is taken or renewed while it is swept stays.
#[tokio::test]
async fn the_sweep_does_not_remove_what_came_meanwhile() {
    for seed in 0..100 {
        let subject = OnSimulated::new(Simulated::with_faults(seed, Faults::default()));
        subject.lock("r", "me").await.unwrap();
        // The simulated store's clock stands still, and so does the wall clock.
        subject.hands.monotonic.advance(Duration::from_secs(11));
        subject.store.set_faults(Faults {
            max_yields: 8,
            ..Faults::default()
        });
        let you = request("r", "you");
        let (swept, locked) = tokio::join!(subject.locks.sweep(), subject.locks.try_lock(&you));
        swept.unwrap();
        assert!(locked.unwrap().is_some(), "seed {seed}");
        assert_eq!(
            subject.locks.unlock("r", "you").await.unwrap(),
            Unlock::Unlocked,
            "seed {seed}"
        );
    }
}

/// Conflicts, and outcomes that are only known when asked again: nobody is told wrong.
#[tokio::test]
async fn a_store_that_fails_does_not_confuse_owners() {
    let mut unknown = 0;
    for seed in 0..200 {
        let subject = OnSimulated::new(Simulated::with_faults(
            seed,
            Faults {
                unknown: 400,
                rivals: 200,
                overloads: 50,
                clock_jumps: 100,
                max_yields: 3,
                ..Faults::default()
            },
        ));
        let mut last = None;
        for round in 0..10 {
            match subject.locks.try_lock(&request("r", "me")).await {
                Ok(Some(token)) => {
                    assert!(Some(token) > last, "seed {seed}");
                    last = Some(token);
                }
                Ok(None) => panic!("seed {seed}, round {round}: nobody else holds it"),
                Err(LockError::Commit(CommitError::UnknownOutcome(_))) => unknown += 1,
                Err(LockError::Commit(CommitError::Overloaded)) => continue,
                Err(error) => panic!("seed {seed}: {error}"),
            }
            while !matches!(
                subject.locks.unlock("r", "me").await,
                Ok(Unlock::Unlocked | Unlock::DoesNotExist)
            ) {}
        }
    }
    // Four times in a row is rare, but it happens.
    assert!((1..400).contains(&unknown), "{unknown}");
}
