//! What is removed, and what is not.

use mainstay_postgres::test_server::{TestServer, new_schema};
use mainstay_store::postgres::{DestroyError, Postgres, SchemaName};
use mainstay_store::{Batch, CommitError, Key, Replicated, Store, Value, Version};

use super::{open, options_on, shared};

fn put(name: &'static str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Key::new(name).unwrap(), Value::new("value").unwrap());
    batch
}

async fn exists(server: &TestServer, schema: &str) -> bool {
    let ask = "SELECT to_regnamespace($1) IS NOT NULL";
    server
        .connect()
        .await
        .query_one(ask, &[&schema])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_copies_are_removed() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let options = options_on(server, &schema);
    // Nothing there is nothing to do.
    Postgres::destroy(options.clone()).await.unwrap();

    let store = open(&options).await;
    store.commit(put("a")).await.unwrap();
    let in_use = Err(DestroyError::Primary(SchemaName::new(&schema).unwrap()));
    assert_eq!(Postgres::destroy(options.clone()).await, in_use);
    // What was deleted counts.
    let mut delete = Batch::new();
    delete.delete(Key::new("a").unwrap());
    store.commit(delete).await.unwrap();
    assert_eq!(Postgres::destroy(options.clone()).await, in_use);
    store.commit(put("b")).await.unwrap();

    store.demote().await.unwrap();
    store.promote(Version::ZERO).await.unwrap();
    assert_eq!(Postgres::destroy(options.clone()).await, in_use);
    store.demote().await.unwrap();
    Postgres::destroy(options.clone()).await.unwrap();
    assert!(!exists(server, &schema).await);
    let error = store.commit(put("c")).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_never_used_is_removed() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    drop(open(&options_on(server, &schema)).await);
    Postgres::destroy(options_on(server, &schema)).await.unwrap();
    assert!(!exists(server, &schema).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_is_left_alone() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let client = server.connect().await;
    let make = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.keys (key bytea)");
    client.batch_execute(&make).await.unwrap();
    let refused = Postgres::destroy(options_on(server, &schema)).await;
    assert_eq!(
        refused,
        Err(DestroyError::NoStore(SchemaName::new(&schema).unwrap()))
    );
    assert!(exists(server, &schema).await);
}
