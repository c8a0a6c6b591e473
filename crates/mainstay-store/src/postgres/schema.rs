//! The tables, and how they come to be: scripts that are applied in order, each once, and after them the functions as they are
//! now.

use tokio_postgres::{Client, Transaction};

use super::error::{OpenError, describe};
use super::options::SchemaName;

/// Script by script; the first makes version 1.
const SCRIPTS: &[&str] = &[include_str!("schema/001.sql"), include_str!("schema/002.sql")];

/// The functions of the latest version.
const FUNCTIONS: &[&str] = &[
    include_str!("schema/commit.sql"),
    include_str!("schema/replication.sql"),
];

/// Brings the schema to the version that this program knows. Processes that do so at the same time wait for each other.
pub(super) async fn migrate(client: &mut Client, schema: &SchemaName) -> Result<(), OpenError> {
    let database = |error: tokio_postgres::Error| OpenError::Migration(describe(&error));
    let transaction = client.transaction().await.map_err(database)?;
    // Longer than any other statement may take: scripts may rewrite tables, and another process may be at it.
    let prepare = expand(
        "SET LOCAL statement_timeout = '5min';
         SELECT pg_advisory_xact_lock({lock});
         CREATE SCHEMA IF NOT EXISTS {schema};
         CREATE TABLE IF NOT EXISTS {schema}.migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());",
        schema,
    );
    transaction.batch_execute(&prepare).await.map_err(database)?;
    let found = version(&transaction, schema).await?;
    let applied = usize::try_from(found).unwrap_or_default();
    for (version, script) in (1_i32..).zip(SCRIPTS).skip(applied) {
        let script = expand(script, schema);
        transaction.batch_execute(&script).await.map_err(database)?;
        let note = expand("INSERT INTO {schema}.migrations (version) VALUES ($1)", schema);
        transaction.execute(&note, &[&version]).await.map_err(database)?;
        tracing::info!(%schema, version, "the store's schema was brought up to date");
    }
    if found < known() {
        for functions in FUNCTIONS {
            let functions = expand(functions, schema);
            transaction.batch_execute(&functions).await.map_err(database)?;
        }
    }
    transaction.commit().await.map_err(database)
}

/// The version of a schema that has been made. One that this program does not know is an error.
pub(super) async fn version(transaction: &Transaction<'_>, schema: &SchemaName) -> Result<i32, OpenError> {
    let database = |error: tokio_postgres::Error| OpenError::Migration(describe(&error));
    let latest = expand(
        "SELECT coalesce(max(version), 0) FROM {schema}.migrations",
        schema,
    );
    let row = transaction.query_one(&latest, &[]).await.map_err(database)?;
    let found: i32 = row.try_get(0).map_err(database)?;
    if found > known() {
        return Err(OpenError::NewerSchema {
            schema: schema.to_string(),
            found,
            known: known(),
        });
    }
    Ok(found)
}

/// The latest version.
fn known() -> i32 {
    i32::try_from(SCRIPTS.len()).unwrap_or(i32::MAX)
}

/// Fills in the name of the schema and the key of its lock. The name is plain lower-case text, so it needs no quotes.
pub(super) fn expand(sql: &str, schema: &SchemaName) -> String {
    let lock = format!("hashtextextended('mainstay store {schema}', 0)");
    sql.replace("{schema}", schema.as_str()).replace("{lock}", &lock)
}
