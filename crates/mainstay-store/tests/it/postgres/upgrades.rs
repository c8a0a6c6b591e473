//! A schema that an earlier program made.

use mainstay_postgres::test_server::new_schema;
use mainstay_store::postgres::Options;
use mainstay_store::{Batch, FollowerName, Key, Replicated, Role, Store, Value, Version};
use tokio_postgres::Client;

use super::{open, options_on, shared};

/// What version 1 was, to the letter.
const VERSION_1: &str = include_str!("version_1.sql");

/// A schema of version 1 with one key, and with a process that has begun its session.
async fn make_version_1(client: &Client, schema: &str) -> Version {
    let lock = format!("hashtextextended('mainstay store {schema}', 0)");
    let script = VERSION_1.replace("{schema}", schema).replace("{lock}", &lock);
    let prepare = format!(
        "CREATE SCHEMA {schema};
         CREATE TABLE {schema}.migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
         {script}
         INSERT INTO {schema}.migrations (version) VALUES (1);
         SELECT {schema}.begin_session('old');"
    );
    client.batch_execute(&prepare).await.unwrap();
    let checksum = xxhash_rust::xxh3::xxh3_64(b"old value").cast_signed();
    let commit = client.query_one(&group(schema), &[&checksum]).await.unwrap();
    Version::from_u64(commit.get::<_, i64>(1).cast_unsigned())
}

/// The call with which a program of version 1 commits one put.
fn group(schema: &str) -> String {
    format!(
        "SELECT * FROM {schema}.commit_group('old', 1, ARRAY['token'::bytea], ARRAY[0], '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', \
         ARRAY[1], ARRAY[0::smallint], ARRAY['key'::bytea], ARRAY['old value'::bytea], ARRAY[$1::bigint])"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_version_1_is_brought_up_to_date() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let client = server.connect().await;
    let version = make_version_1(&client, &schema).await;
    let options: Options = options_on(server, &schema);
    let store = open(&options).await;

    let keys = [Key::new("key").unwrap()];
    let read = store.read(&keys).await.unwrap();
    let stored = read.values.into_iter().flatten().next().unwrap();
    assert_eq!(
        (stored.version, stored.value),
        (version, Value::new("old value").unwrap())
    );
    assert_eq!(store.role().await.unwrap(), Role::Primary);
    let tokens = store.tokens(None).await.unwrap();
    assert!(matches!(&tokens[..], [(token, used)] if token.as_bytes() == "token" && *used == version));

    // It can be followed, and changes are kept, those of programs that have not been replaced yet included.
    let name = FollowerName::new("archive").unwrap();
    assert_eq!(store.follow(&name).await.unwrap(), version);
    let refused = client.query_one(&group(&schema), &[&0_i64]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "MS001", "its session is over");
    let mut batch = Batch::new();
    batch.put(Key::new("new").unwrap(), Value::new("1").unwrap());
    let commit = store.commit(batch).await.unwrap();
    let changes = store.changes(&name, version).await.unwrap();
    assert!(matches!(&changes.commits[..], [only] if only.version == commit.version));
}
