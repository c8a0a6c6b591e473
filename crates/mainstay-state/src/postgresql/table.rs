//! The tables: as Dapr's component of version 2 makes them, and a column for the content type.

use std::sync::Arc;

use mainstay_postgres::describe;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::options::TableName;

/// What Dapr's table has, which ours must have too.
const COLUMNS: [(&str, &str); 5] = [
    ("key", "text"),
    ("value", "bytea"),
    ("etag", "uuid"),
    ("updated_at", "timestamp with time zone"),
    ("expires_at", "timestamp with time zone"),
];

/// Keeps two processes from making tables at once.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('mainstay state'))";

const MAKE: &str = "
    CREATE TABLE {table} (
        key text NOT NULL PRIMARY KEY,
        value bytea NOT NULL,
        etag uuid NOT NULL DEFAULT gen_random_uuid(),
        created_at timestamp with time zone NOT NULL DEFAULT now(),
        updated_at timestamp with time zone,
        expires_at timestamp with time zone,
        content_type text
    );
    CREATE INDEX {index} ON {table} (expires_at);";

const ADD_CONTENT_TYPE: &str = "ALTER TABLE {table} ADD COLUMN content_type text;";

const MAKE_METADATA: &str = "CREATE TABLE {metadata} (key text NOT NULL PRIMARY KEY, value text NOT NULL);";

/// The names of the tables, and what is done with them.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub table: TableName,
    pub metadata: TableName,
}

impl Names {
    pub(super) fn new(table: &TableName, metadata: &TableName) -> Self {
        Self {
            table: table.clone(),
            metadata: metadata.clone(),
        }
    }

    /// A statement with the names in it. They need no quotes.
    pub(super) fn expand(&self, statement: &str) -> String {
        let table = self.table.to_string();
        let name = table.rsplit('.').next().unwrap_or_default();
        statement
            .replace("{table}", &table)
            .replace("{index}", &format!("{name}_expires_at_idx"))
            .replace("{metadata}", &self.metadata.to_string())
    }
}

/// Makes the tables where they are missing, and makes sure that they can be used.
pub(super) async fn ensure(client: &mut Client, names: &Names) -> Result<(), Arc<str>> {
    let failed = |error: Error| -> Arc<str> {
        format!("the table `{}` cannot be made: {}", names.table, describe(&error)).into()
    };
    // Who may not make tables can use those that are there.
    if missing(client, names).await?.is_empty() {
        return Ok(());
    }
    let making = client.transaction().await.map_err(failed)?;
    making.batch_execute(LOCK).await.map_err(failed)?;
    let statements = missing(making.client(), names).await?;
    let statements = names.expand(&statements.concat());
    making.batch_execute(&statements).await.map_err(failed)?;
    making.commit().await.map_err(failed)
}

/// The statements that make what is missing.
async fn missing(client: &Client, names: &Names) -> Result<Vec<&'static str>, Arc<str>> {
    let failed = |error: Error| describe(&error);
    let found = columns(client, &names.table).await.map_err(failed)?;
    let has = |name: &str, kind: &str| found.iter().any(|(at, is)| at == name && is == kind);
    let mut statements = Vec::new();
    if found.is_empty() {
        statements.push(MAKE);
    } else if let Some((name, kind)) = COLUMNS.iter().find(|(name, kind)| !has(name, kind)) {
        let table = &names.table;
        let reason = format!(
            "the table `{table}` is another one: it has no column `{name}` of type {kind}; name a table with \
             `tableName` that Dapr's component of version 2 has made, or none that exists"
        );
        return Err(reason.into());
    } else if !has("content_type", "text") {
        statements.push(ADD_CONTENT_TYPE);
    }
    if columns(client, &names.metadata).await.map_err(failed)?.is_empty() {
        statements.push(MAKE_METADATA);
    }
    Ok(statements)
}

/// The columns of a table with their types; none when there is no such table.
async fn columns(client: &Client, table: &TableName) -> Result<Vec<(String, String)>, Error> {
    let ask = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
               WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let name = table.to_string();
    let rows = client.query_typed(ask, &[(&name, Type::TEXT)]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}
