//! What is refused, and what is noticed.

use std::time::Duration;

use mainstay_postgres::test_server::{TestServer, new_schema};
use mainstay_store::postgres::{OpenError, Options, Postgres};
use mainstay_store::{Batch, CommitError, Key, KeyRange, ReadError, Scan, Store, Token, Value};

use super::{open, options_on, shared};

const PATIENCE: Duration = Duration::from_secs(60);

fn key(name: &str) -> Key {
    Key::new(name.to_owned()).unwrap()
}

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), Value::new("value").unwrap());
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_left_alone() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    drop(open(&options_on(server, &schema)).await);
    let client = server.connect().await;
    let newer = format!("INSERT INTO {schema}.migrations (version) VALUES (99)");
    client.batch_execute(&newer).await.unwrap();
    let error = Postgres::open(options_on(server, &schema)).await.unwrap_err();
    let known = 2;
    let expected = OpenError::NewerSchema {
        schema,
        found: 99,
        known,
    };
    assert_eq!(error, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_sync_is_refused() {
    let Some(mut server) = TestServer::start_if_available().await else {
        return;
    };
    server.crash();
    server.set("fsync=off");
    server.resume().await;
    let error = Postgres::open(options_on(&server, "mainstay")).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Unsafe(reason) if reason.contains("fsync")),
        "{error}"
    );
}

#[tokio::test]
async fn no_server_is_said_so() {
    let options = Options::new("postgres://mainstay@%2Fnonexistent/postgres").unwrap();
    let error = Postgres::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Unavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_bytes_are_noticed() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    store.commit(put("a")).await.unwrap();
    store.commit(put("b")).await.unwrap();
    let client = server.connect().await;
    for change in ["value = 'valve'", "version = version + 1"] {
        let name = if change.starts_with("value") { "a" } else { "b" };
        let statement = format!("UPDATE {schema}.keys SET {change} WHERE key = '{name}'");
        assert_eq!(client.execute(&statement, &[]).await.unwrap(), 1);
        let read = store.read(&[key(name)]).await;
        assert!(matches!(read, Err(ReadError::Damaged(_))), "{read:?}");
    }
    let page = store.scan(&Scan::new(KeyRange::all())).await;
    assert!(matches!(page, Err(ReadError::Damaged(_))), "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_waits_too_long_is_undone() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let mut options = options_on(server, &schema);
    options.statement_timeout = Duration::from_millis(200);
    let store = open(&options).await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('mainstay store {schema}', 0))");
    transaction.batch_execute(&lock).await.unwrap();
    let error = store.commit(put("a")).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    // Rule 10: reads do not wait for commits.
    assert_eq!(store.read(&[key("a")]).await.unwrap().values, [None]);
    transaction.rollback().await.unwrap();
    store.commit(put("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_batch_that_the_server_refuses_is_refused() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    let mut client = server.connect().await;
    let refuse = format!("ALTER TABLE {schema}.keys ADD CHECK (key <> 'bad')");
    client.batch_execute(&refuse).await.unwrap();
    // While the lock is held, some wait in the server, and the others gather into the next group.
    let transaction = client.transaction().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('mainstay store {schema}', 0))");
    transaction.batch_execute(&lock).await.unwrap();
    let names = ["first", "good", "bad", "also good"];
    let commits = names.map(|name| (name, store.commit(put(name))));
    transaction.rollback().await.unwrap();
    for (name, commit) in commits {
        let answer = commit.await;
        if name == "bad" {
            assert!(
                matches!(&answer, Err(CommitError::Unavailable(reason)) if reason.contains("23514")),
                "{answer:?}"
            );
        } else {
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }
    let found = store.read(&names.map(key)).await.unwrap().values;
    assert!(
        matches!(&found[..], [Some(_), Some(_), None, Some(_)]),
        "{found:?}"
    );
    store.commit(put("later")).await.unwrap();
}

/// What an older connection of the process has sent comes to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_session_is_fenced() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    let client = server.connect().await;
    // As if the process had connected once more.
    let begin = format!("SELECT {schema}.begin_session(id) FROM {schema}.committers");
    client.execute(&begin, &[]).await.unwrap();
    let error = store.commit(put("a")).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    // The store then begins a session of its own.
    store.commit(put("b")).await.unwrap();
    let keys = [key("a"), key("b")];
    let found = store.read(&keys).await.unwrap().values;
    assert!(matches!(&found[..], [None, Some(_)]), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_when_the_listener_is_disconnected() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    let mut watch = store.watch("a".into());
    let client = server.connect().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT coalesce%' || $1 || '.moments%'";
    assert_eq!(client.execute(end, &[&schema]).await.unwrap(), 1);
    let commit = store.commit(put("a")).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .unwrap()
        .unwrap();
    assert!(seen >= commit.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_forgotten_but_not_the_line() {
    let Some(server) = shared().await else { return };
    let store = open(&options_on(server, &new_schema())).await;
    let token = |name: &'static str| {
        let mut batch = put(name);
        batch.set_token(Token::new(name).unwrap());
        batch
    };
    let first = store.commit(token("first")).await.unwrap();
    let second = store.commit(token("second")).await.unwrap();
    store.forget_tokens(first.version).await.unwrap();
    assert!(store.commit(token("second")).await.unwrap().replayed);
    let again = store.commit(token("first")).await.unwrap();
    assert!(!again.replayed && again.version > second.version);
    store.forget_tokens(again.version).await.unwrap();
    assert_eq!(store.read(&[]).await.unwrap().at, again.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_bounded() {
    let Some(server) = shared().await else { return };
    let mut options = options_on(server, &new_schema());
    options.max_snapshots = 1;
    let store = open(&options).await;
    let first = store.snapshot().await.unwrap();
    let refused = store.snapshot().await;
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    drop(first);
    store.snapshot().await.unwrap();
}
