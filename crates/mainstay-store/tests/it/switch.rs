//! The switch: the conformance suite over moves, and what it does with commits and watches while it is pointed elsewhere.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mainstay_store::conformance::Subject;
use mainstay_store::conformance::workload::{self, Client};
use mainstay_store::history::Recorder;
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{
    Batch, ChangedKeys, CommitError, FollowerName, Key, KeyRange, MAX_SWITCH_STORES, Portion, Replicated,
    Role, Scan, Store, Switch, SwitchError, Value, Version, conformance_suite,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Moves everything to `target` while the switch is in use.
async fn move_to(switch: &Switch, target: &Arc<dyn Replicated>) {
    let source = switch.present();
    let name = FollowerName::new("move").unwrap();
    target.demote().await.unwrap();
    let mut after = source.follow(&name).await.unwrap();
    let mut rest = Some(KeyRange::all());
    while let Some(range) = rest {
        let page = source.scan(&Scan::new(range).limit(5)).await.unwrap();
        let entries = page.entries;
        let portion = Portion {
            entries,
            tokens: Vec::new(),
        };
        target.copy(portion).await.unwrap();
        rest = page.rest;
    }
    let tokens = source.tokens(None).await.unwrap();
    let portion = Portion {
        entries: Vec::new(),
        tokens,
    };
    target.copy(portion).await.unwrap();
    let place = switch.admit(target).unwrap();
    let paused = switch.pause(PATIENCE).await.unwrap();
    let last = source.demote().await.unwrap();
    while after < last {
        let changes = source.changes(&name, after).await.unwrap();
        target.apply(&changes.commits).await.unwrap();
        after = changes.up_to;
    }
    target.promote(last).await.unwrap();
    source.unfollow(&name).await.unwrap();
    paused.switch_to(place, last);
}

fn fresh() -> Arc<dyn Replicated> {
    Arc::new(Simulated::new())
}

/// A switch over stores in memory, which moves to a new one instead of a restart.
struct Moving(Switch);

impl Subject for Moving {
    async fn open() -> Self {
        let mut subject = Self(Switch::new(fresh()));
        subject.restart().await;
        subject
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn restart(&mut self) {
        move_to(&self.0, &fresh()).await;
    }
}

conformance_suite!(Moving);

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Key::new(name.to_owned()).unwrap(), Value::new("v").unwrap());
    batch
}

/// Clients go on while everything is moved, and none is told of it.
async fn histories_over_moves(seed: u64, moves: usize) {
    let faults = Faults {
        max_yields: 3,
        ..Faults::default()
    };
    let store = |seed| -> Arc<dyn Replicated> { Arc::new(Simulated::with_faults(seed, faults)) };
    let switch = Switch::new(store(seed));
    let recorder = Arc::new(Recorder::new());
    let ids = Arc::new(AtomicU64::new(1));
    let shared: Arc<dyn Store> = Arc::new(switch.clone());
    let running = tokio::spawn({
        let (recorder, ids, shared) = (recorder.clone(), ids.clone(), shared.clone());
        async move { workload::run(&shared, &recorder, &ids, 6, 60).await }
    });
    for number in 0..moves {
        let before = switch.present();
        move_to(&switch, &store(seed + 1_000 + number as u64)).await;
        assert_eq!(before.role().await, Ok(Role::Replica));
        let mut watch = shared.watch(bytes::Bytes::new());
        if !running.is_finished() {
            // Some commits there.
            let _ = tokio::time::timeout(Duration::from_millis(20), watch.changed()).await;
        }
    }
    assert!(running.await.unwrap().is_empty());
    Client::new(shared, 0).look(recorder.as_ref()).await;
    let summary = recorder.history().check();
    let summary = summary.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    assert!(summary.commits > 100 && summary.unknown == 0, "{summary:?}");
    assert_eq!(summary.refused, 0, "seed {seed}: nobody is told of a move");
}

#[tokio::test]
async fn clients_do_not_notice_moves() {
    for seed in 0..20 {
        histories_over_moves(seed, 6).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_on_several_threads_do_not_notice_moves() {
    for seed in 0..20 {
        histories_over_moves(seed, 6).await;
    }
}

#[tokio::test(start_paused = true)]
async fn commits_wait_for_a_pause_but_not_for_ever() {
    let switch = Switch::new(fresh());
    let paused = switch.pause(PATIENCE).await.unwrap();
    assert_eq!(switch.pause(PATIENCE).await.unwrap_err(), SwitchError::Paused);
    let waiting = switch.commit(put("a"));
    assert_eq!(
        waiting.await,
        Err(CommitError::Overloaded),
        "the time is advanced to its deadline"
    );
    assert!(
        switch.read(&[Key::new("a").unwrap()]).await.is_ok(),
        "reads go on"
    );
    let (one, other) = (switch.clone(), fresh());
    let waiting = tokio::spawn(async move { one.commit(put("b")).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let place = switch.admit(&other).unwrap();
    paused.switch_to(place, Version::ZERO);
    let commit = waiting.await.unwrap().unwrap();
    let read = other.read(&[Key::new("b").unwrap()]).await.unwrap();
    assert_eq!(read.values[0].as_ref().unwrap().version, commit.version);
}

#[tokio::test]
async fn a_pause_that_is_dropped_lets_commits_go_on() {
    let switch = Switch::new(fresh());
    drop(switch.pause(PATIENCE).await.unwrap());
    switch.commit(put("a")).await.unwrap();
    // What was begun and not finished is in the way.
    let begun = switch.commit(put("b"));
    let busy = switch.pause(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(busy, SwitchError::Busy(_)));
    begun.await.unwrap();
    let given_up = switch.commit(put("c"));
    drop(given_up);
    switch.pause(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let switch = Switch::new(fresh());
    let paused = switch.pause(PATIENCE).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..100 {
        let switch = switch.clone();
        let mut batch = Batch::new();
        let value = Value::new(vec![0; 1_024 * 1_024]).unwrap();
        batch.put(Key::new(number.to_string()).unwrap(), value);
        waiting.spawn(async move { switch.commit(batch).await });
    }
    let mut refused = 0;
    while refused < 30 {
        let answer = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(answer, Err(CommitError::Overloaded));
        refused += 1;
    }
    drop(paused);
    let committed = waiting.join_all().await;
    assert!(committed.len() > 50 && committed.iter().filter(|answer| answer.is_ok()).count() > 50);
}

#[tokio::test]
async fn a_watch_goes_along_and_wakes_at_the_switch() {
    let switch = Switch::new(fresh());
    let mut watch = switch.watch("a/".into());
    let first = switch.commit(put("a/1")).await.unwrap().version;
    assert_eq!(watch.changed().await.unwrap(), first);
    let target = fresh();
    move_to(&switch, &target).await;
    assert!(watch.changed().await.unwrap() >= first);
    let second = switch.commit(put("a/2")).await.unwrap().version;
    assert_eq!(watch.changed().await.unwrap(), second);
    // Over several moves at once, and when nobody waited meanwhile.
    move_to(&switch, &fresh()).await;
    move_to(&switch, &fresh()).await;
    switch.commit(put("a/3")).await.unwrap();
    watch
        .changed()
        .await
        .expect("it wakes for the moves and what came after them");
    let fourth = switch.commit(put("a/4")).await.unwrap().version;
    assert_eq!(watch.changed().await.unwrap(), fourth);
    drop((switch, target));
    assert!(watch.changed().await.is_err(), "it does not keep stores open");
}

#[tokio::test]
async fn a_key_watch_goes_along_and_tells_of_any_key_at_the_switch() {
    let switch = Switch::new(fresh());
    let mut watch = switch.watch_keys("a/".into());
    let first = switch.commit(put("a/1")).await.unwrap().version;
    let these = |name: &'static str, version| ChangedKeys::These(vec![(name.into(), version)]);
    assert_eq!(watch.changed().await, Ok(these("a/1", first)));
    move_to(&switch, &fresh()).await;
    switch.commit(put("a/2")).await.unwrap();
    assert_eq!(watch.changed().await, Ok(ChangedKeys::Any));
    let third = switch.commit(put("a/3")).await.unwrap().version;
    assert_eq!(watch.changed().await, Ok(these("a/3", third)));
    drop(switch);
    assert!(watch.changed().await.is_err());
}

#[tokio::test]
async fn it_knows_a_bounded_number_of_stores() {
    let first = fresh();
    let switch = Switch::new(first.clone());
    for _ in 1..MAX_SWITCH_STORES {
        switch.admit(&fresh()).unwrap();
    }
    assert_eq!(switch.admit(&fresh()).unwrap_err(), SwitchError::TooMany);
    assert!(
        switch.admit(&first).is_ok(),
        "one that is known is no further one"
    );
}
