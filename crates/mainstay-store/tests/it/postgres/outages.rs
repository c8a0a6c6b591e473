//! The server is killed and comes back; the store does not have to be opened again.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mainstay_postgres::test_server::{TestServer, new_schema};
use mainstay_store::conformance::workload;
use mainstay_store::history::Recorder;
use mainstay_store::postgres::Postgres;
use mainstay_store::{Batch, CommitError, Key, KeyRange, ReadError, Scan, Store, Token, Value};

use super::{open, options_on};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn put(key: &'static str, text: &'static str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Key::new(key).unwrap(), Value::new(text).unwrap());
    batch
}

/// Commits, as often as it takes.
async fn commit_in_the_end(store: &Arc<Postgres>, mut batch: Batch) {
    batch.set_token(Token::new("in the end").unwrap());
    let committing = async {
        while let Err(error) = store.commit(batch.clone()).await {
            let is_outage = matches!(
                error,
                CommitError::Unavailable(_) | CommitError::UnknownOutcome(_)
            );
            assert!(is_outage, "{error}");
        }
    };
    tokio::time::timeout(PATIENCE, committing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_again_when_the_server_is_back() {
    let Some(mut server) = TestServer::start_if_available().await else {
        return;
    };
    let store = open(&options_on(&server, "mainstay")).await;
    store.commit(put("before", "1")).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let mut watch = store.watch("wat".into());
    server.crash();

    // The first may be sent before it is noticed that the server is gone.
    let error = store.commit(put("lost", "1")).await.unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::Unavailable(_) | CommitError::UnknownOutcome(_)
        ),
        "{error}"
    );
    let keys = [Key::new("before").unwrap()];
    assert!(matches!(store.read(&keys).await, Err(ReadError::Unavailable(_))));
    assert_eq!(snapshot.read(&keys).await, Err(ReadError::SnapshotTooOld));
    assert!(matches!(store.snapshot().await, Err(ReadError::Unavailable(_))));
    // It stays gone for a while: everybody is told so, nobody waits for long.
    for _ in 0..5 {
        let answer = tokio::time::timeout(PATIENCE, store.commit(put("lost", "1")))
            .await
            .unwrap();
        assert!(matches!(answer, Err(CommitError::Unavailable(_))), "{answer:?}");
    }

    server.resume().await;
    commit_in_the_end(&store, put("watched", "1")).await;
    tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .unwrap()
        .unwrap();
    let page = store.scan(&Scan::new(KeyRange::all())).await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_ref()).collect();
    assert_eq!(keys, [&b"before"[..], b"watched"]);
}

/// Clients of two stores on the same tables, judged together.
async fn run_two(stores: [&Arc<Postgres>; 2], recorder: &Arc<Recorder>, ids: &Arc<AtomicU64>) -> Vec<Batch> {
    let stores = stores.map(|store| store.clone() as Arc<dyn Store>);
    let [first, second] = &stores;
    let (mut unknown, more) = tokio::join!(
        workload::run(first, recorder, ids, 4, 60),
        workload::run(second, recorder, ids, 4, 60),
    );
    unknown.extend(more);
    unknown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_one_history() {
    let Some(server) = super::shared().await else {
        return;
    };
    let options = options_on(server, &new_schema());
    // Both make the tables at the same time.
    let (first, second) = tokio::join!(open(&options), open(&options));
    let (recorder, ids) = (Arc::new(Recorder::new()), Arc::new(AtomicU64::new(1)));
    let unknown = run_two([&first, &second], &recorder, &ids).await;
    assert!(unknown.is_empty(), "nothing went wrong");
    let summary = recorder
        .history()
        .check()
        .unwrap_or_else(|violation| panic!("{violation}"));
    assert!(summary.commits > 200, "{summary:?}");
    assert!(summary.conflicts > 0, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_commits_wakes_the_other() {
    let Some(server) = super::shared().await else {
        return;
    };
    let options = options_on(server, &new_schema());
    let (first, second) = tokio::join!(open(&options), open(&options));
    let mut watch = second.watch("a/".into());
    let commit = first.commit(put("a/1", "1")).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .unwrap()
        .unwrap();
    assert!(seen >= commit.version);
    // More than one notification can tell.
    let mut many = Batch::new();
    for index in 0..500 {
        many.put(
            Key::new(format!("a/{index}/{}", "x".repeat(20))).unwrap(),
            Value::default(),
        );
    }
    let commit = first.commit(many).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .unwrap()
        .unwrap();
    assert!(seen >= commit.version);
}
