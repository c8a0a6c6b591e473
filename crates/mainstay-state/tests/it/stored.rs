//! `state.mainstay`: the conformance suite on every adapter of the store, its batches, and its sweeper.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mainstay_state::conformance::{ManualWallClock, Subject};
use mainstay_state::stored::Swept;
use mainstay_state::{
    Concurrency, Consistency, Delete, Item, KeyChange, KeyChanges, Operation, Set, StateError, StateStore,
    Stored, TimeToLive, limits,
};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::simulated::{Faults, Simulated, Step};
use mainstay_store::{Batch, CommitError, Key, KeyRange, Scan, Store, Value};

struct OnSimulated {
    clock: Arc<ManualWallClock>,
    store: Simulated,
    state: Stored,
}

impl OnSimulated {
    fn new(store: Simulated) -> Self {
        let clock = Arc::new(ManualWallClock::default());
        let state = Stored::with_clock(Arc::new(store.clone()), "statestore", clock.clone()).unwrap();
        Self { clock, store, state }
    }

    async fn keys(&self) -> usize {
        let page = self.store.scan(&Scan::new(KeyRange::all())).await.unwrap();
        page.entries.len()
    }

    async fn item(&self, key: &str) -> Option<Item> {
        let items = self
            .state
            .get(&[key.to_owned()], Consistency::Strong)
            .await
            .unwrap();
        items.into_iter().next().flatten()
    }
}

impl Subject for OnSimulated {
    async fn open() -> Self {
        Self::new(Simulated::new())
    }

    fn state(&self) -> Arc<dyn StateStore> {
        Arc::new(self.state.clone())
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clock.advance_ms(u64::from(seconds) * 1_000);
    }

    fn malformed_etag() -> Option<&'static str> {
        Some("not a version")
    }
}

mod simulated {
    mainstay_state::conformance_suite!(super::OnSimulated);
}

struct OnDisk {
    clock: Arc<ManualWallClock>,
    state: Stored,
    _folder: tempfile::TempDir,
}

impl Subject for OnDisk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualWallClock::default());
        let store = Arc::new(Embedded::open(&Options::new(folder.path())).unwrap());
        let state = Stored::with_clock(store, "statestore", clock.clone()).unwrap();
        Self {
            clock,
            state,
            _folder: folder,
        }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        Arc::new(self.state.clone())
    }

    async fn pass_seconds(&self, seconds: u32) {
        self.clock.advance_ms(u64::from(seconds) * 1_000);
    }

    fn malformed_etag() -> Option<&'static str> {
        Some("007")
    }
}

mod embedded {
    mainstay_state::conformance_suite!(super::OnDisk);
}

fn lasting(key: &str, seconds: u32) -> Set {
    let mut set = Set::new(key, "value");
    set.time_to_live = NonZeroU32::new(seconds).map(TimeToLive::seconds);
    set
}

#[tokio::test]
async fn components_do_not_share_keys() {
    let store = Arc::new(Simulated::new());
    let one = Stored::new(store.clone(), "one").unwrap();
    let two = Stored::new(store, "two").unwrap();
    one.set(Set::new("k", "1")).await.unwrap();
    let keys = ["k".to_owned()];
    assert_eq!(two.get(&keys, Consistency::Strong).await.unwrap(), [None]);
}

/// The outbox: state and a message in one commit.
#[tokio::test]
async fn a_batch_holds_state_and_more() {
    let subject = OnSimulated::open().await;
    let message = Key::new("message").unwrap();
    let mut set = Set::new("order", "paid");
    set.concurrency = Concurrency::FirstWrite;
    let operations = [Operation::Set(set)];

    let mut batch = Batch::new();
    batch.put(message.clone(), Value::new("published").unwrap());
    subject.state.contribute(&operations, &mut batch).await.unwrap();
    let rival = batch.clone();
    subject.store.commit(batch).await.unwrap();
    assert_eq!(subject.item("order").await.unwrap().value, "paid");
    assert!(subject.store.read(&[message]).await.unwrap().values[0].is_some());

    // Whoever comes second is told by the store, and then by the component why.
    let late = subject.store.commit(rival).await;
    assert!(matches!(late, Err(CommitError::Conflict(_))), "{late:?}");
    let again = subject.state.contribute(&operations, &mut Batch::new()).await;
    assert!(matches!(again, Err(StateError::EtagMismatch { .. })), "{again:?}");
}

#[tokio::test]
async fn what_expired_is_swept_and_nothing_else() {
    let subject = OnSimulated::open().await;
    for set in [
        lasting("gone", 1),
        lasting("later", 100),
        lasting("renewed", 1),
        lasting("kept", 1),
    ] {
        subject.state.set(set).await.unwrap();
    }
    subject.state.set(lasting("renewed", 100)).await.unwrap();
    subject.state.set(Set::new("kept", "for ever")).await.unwrap();
    assert_eq!(subject.state.sweep().await.unwrap(), Swept::default());

    subject.clock.advance_ms(1_000);
    assert_eq!(
        subject.state.sweep().await.unwrap(),
        Swept { values: 1, stale: 2 }
    );
    assert_eq!(subject.item("gone").await, None);
    for key in ["later", "renewed", "kept"] {
        assert!(subject.item(key).await.is_some(), "{key}");
    }
    // Three values, and two lines of the index.
    assert_eq!(subject.keys().await, 5);

    subject.clock.advance_ms(100_000);
    assert_eq!(
        subject.state.sweep().await.unwrap(),
        Swept { values: 2, stale: 0 }
    );
    assert_eq!(subject.keys().await, 1);
}

#[tokio::test]
async fn more_than_one_page_is_swept() {
    let subject = OnSimulated::open().await;
    let sets = (0..1_500)
        .map(|number| lasting(&format!("key {number}"), 1))
        .collect();
    subject.state.bulk_set(sets).await.unwrap();
    subject.clock.advance_ms(1_000);
    let swept = subject.state.sweep().await.unwrap();
    assert_eq!(
        swept,
        Swept {
            values: 1_500,
            stale: 0
        }
    );
    assert_eq!(subject.keys().await, 0);
}

/// Rivals touch the keys that are swept: a round gets past them, and later rounds remove the rest.
#[tokio::test]
async fn rivals_only_delay_the_sweep() {
    let rivals = Faults {
        rivals: 500,
        ..Faults::default()
    };
    let subject = OnSimulated::new(Simulated::with_faults(7, Faults::default()));
    let sets = (0..50)
        .map(|number| lasting(&format!("key {number}"), 1))
        .collect();
    subject.state.bulk_set(sets).await.unwrap();
    subject.clock.advance_ms(1_000);
    subject.store.set_faults(rivals);
    for _ in 0..5 {
        subject.state.sweep().await.unwrap();
    }
    assert!(!subject.store.rivals().is_empty());
    subject.store.set_faults(Faults::default());
    subject.state.sweep().await.unwrap();
    let keys: Vec<String> = (0..50).map(|number| format!("key {number}")).collect();
    let items = subject.state.get(&keys, Consistency::Strong).await.unwrap();
    assert!(items.iter().all(Option::is_none));
    assert_eq!(subject.state.sweep().await.unwrap(), Swept::default());
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_else() {
    let subject = OnSimulated::open().await;
    for key in ["newer", "old"] {
        subject.state.set(lasting(key, 1)).await.unwrap();
    }
    let mut batch = Batch::new();
    let record = Key::new("state/statestore/r/newer").unwrap();
    batch.put(record, Value::new(vec![99]).unwrap());
    subject.store.commit(batch).await.unwrap();
    subject.clock.advance_ms(1_000);
    assert_eq!(
        subject.state.sweep().await.unwrap(),
        Swept { values: 1, stale: 0 }
    );
    let refused = subject
        .state
        .get(&["newer".to_owned()], Consistency::Strong)
        .await;
    assert_eq!(refused, Err(StateError::Unreadable("newer".to_owned())));
}

/// A value that is set while its predecessor is swept stays.
#[tokio::test]
async fn the_sweep_does_not_remove_what_came_meanwhile() {
    for seed in 0..100 {
        let subject = OnSimulated::new(Simulated::with_faults(seed, Faults::default()));
        subject.state.set(lasting("k", 1)).await.unwrap();
        subject.clock.advance_ms(1_000);
        subject.store.set_faults(Faults {
            max_yields: 8,
            ..Faults::default()
        });
        let (swept, set) = tokio::join!(subject.state.sweep(), subject.state.set(Set::new("k", "new")));
        swept.unwrap();
        set.unwrap();
        assert_eq!(subject.item("k").await.unwrap().value, "new", "seed {seed}");
    }
}

#[tokio::test]
async fn the_sweeper_runs_until_it_is_stopped() {
    let subject = OnSimulated::open().await;
    let mut watch = subject.store.watch("state/".into());
    subject.state.set(lasting("k", 1)).await.unwrap();
    watch.changed().await.unwrap();
    subject.clock.advance_ms(1_000);
    let sweeper = subject.state.start_sweeper(Duration::from_millis(5));
    tokio::time::timeout(Duration::from_secs(20), watch.changed())
        .await
        .expect("it sweeps")
        .unwrap();
    assert_eq!(subject.keys().await, 0);
    sweeper.stop().await;
}

/// A rival that leaves the key as it was is no mismatch: the change is decided anew.
#[tokio::test]
async fn conflicts_of_others_are_not_passed_on() {
    let faults = Faults {
        rivals: 300,
        ..Faults::default()
    };
    let subject = OnSimulated::new(Simulated::with_faults(3, faults));
    for number in 0..200 {
        let mut set = Set::new(format!("key {number}"), "v");
        set.concurrency = Concurrency::FirstWrite;
        subject.state.set(set).await.unwrap();
    }
    assert!(!subject.store.rivals().is_empty());
}

/// Outcomes that are not told get known: every change is made once, and its answer is right.
#[tokio::test(start_paused = true)]
async fn unknown_outcomes_are_resolved() {
    let faults = Faults {
        unknown: 500,
        overloads: 100,
        ..Faults::default()
    };
    for seed in 0..20 {
        let subject = OnSimulated::new(Simulated::with_faults(seed, faults));
        let mut made = 0;
        for number in 0..50 {
            let mut set = Set::new("count", number.to_string());
            set.etag = subject.item("count").await.map(|item| item.etag);
            set.concurrency = Concurrency::FirstWrite;
            match subject.state.set(set).await {
                Ok(()) => made = number,
                // It was refused before it was tried.
                Err(StateError::Commit(CommitError::Overloaded)) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            let item = subject.item("count").await;
            let value = item.map(|item| String::from_utf8(item.value.to_vec()).unwrap());
            assert_eq!(value.unwrap_or("0".to_owned()), made.to_string(), "seed {seed}");
        }
        assert!(made > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_gets_known_when_the_store_is_back() {
    for (step, is_rival) in [
        (Step::Durable, false),
        (Step::Written, false),
        (Step::Written, true),
    ] {
        let subject = OnSimulated::open().await;
        let mut set = Set::new("k", "v");
        set.concurrency = Concurrency::FirstWrite;
        subject.store.crash_at(step);
        let recovering = async {
            while !subject.store.is_crashed() {
                tokio::task::yield_now().await;
            }
            subject.store.recover();
            if is_rival {
                let state = Stored::new(Arc::new(subject.store.clone()), "statestore").unwrap();
                state.set(Set::new("k", "theirs")).await.unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(subject.state.set(set), recovering);
        let value = subject.item("k").await.unwrap().value;
        if is_rival {
            assert!(
                matches!(outcome, Err(StateError::EtagMismatch { .. })),
                "{outcome:?}"
            );
            assert_eq!(value, "theirs");
        } else {
            assert_eq!(outcome, Ok(()), "{step:?}");
            assert_eq!(value, "v");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_told() {
    let subject = OnSimulated::open().await;
    subject.store.crash_at(Step::Durable);
    let outcome = subject.state.set(Set::new("k", "v")).await;
    assert!(
        matches!(outcome, Err(StateError::Commit(CommitError::UnknownOutcome(_)))),
        "{outcome:?}"
    );
    assert!(subject.store.is_crashed());
}

async fn change(changes: &mut KeyChanges) -> (String, Option<String>) {
    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
    let KeyChange { key, item } = next.unwrap().unwrap().unwrap();
    (
        key,
        item.map(|item| String::from_utf8(item.value.to_vec()).unwrap()),
    )
}

#[tokio::test]
async fn changes_are_told_one_after_another() {
    let subject = OnSimulated::open().await;
    let set = async |key: &str, value: &'static str| subject.state.set(Set::new(key, value)).await.unwrap();
    set("app||old", "1").await;
    set("app||same", "1").await;
    let mut changes = KeyChanges::of(subject.state(), "app||".to_owned()).await.unwrap();
    set("other||key", "1").await;
    set("app||new", "2").await;
    let told = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    assert_eq!(change(&mut changes).await, told("app||new", Some("2")));

    // Together, they are told of in the order of their keys.
    let both = vec![
        Operation::Set(Set::new("app||new", "3")),
        Operation::Delete(Delete::new("app||old")),
    ];
    subject.state.transact(both).await.unwrap();
    assert_eq!(change(&mut changes).await, told("app||new", Some("3")));
    assert_eq!(change(&mut changes).await, told("app||old", None));

    subject.state.set(lasting("app||short", 1)).await.unwrap();
    assert_eq!(change(&mut changes).await, told("app||short", Some("value")));
    subject.clock.advance_ms(1_000);
    subject.state.sweep().await.unwrap();
    assert_eq!(change(&mut changes).await, told("app||short", None));
}

#[tokio::test]
async fn no_more_are_watched_than_can_be_remembered() {
    let subject = OnSimulated::open().await;
    for part in 0..4 {
        let sets = (0..=limits::MAX_WATCHED / 4).map(|number| Set::new(format!("{part}||{number}"), "1"));
        subject.state.bulk_set(sets.collect()).await.unwrap();
    }
    let refused = KeyChanges::of(subject.state(), String::new()).await.unwrap_err();
    assert_eq!(refused, StateError::TooManyWatched);
    assert!(KeyChanges::of(subject.state(), "1||".to_owned()).await.is_ok());
}

#[tokio::test]
async fn keys_can_be_listed_and_watched() {
    // The suite skips components that say they cannot list.
    let subject = OnSimulated::open().await;
    assert!(
        subject
            .state
            .list(&mainstay_state::Listing::default())
            .await
            .is_ok()
    );
    assert!(subject.state.watch("").await.is_ok());
}
