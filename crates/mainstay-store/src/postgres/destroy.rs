//! Removing a schema: that of a copy which is not needed any more.

use tokio_postgres::Transaction;

use super::Postgres;
use super::error::{OpenError, describe};
use super::options::{Options, SchemaName};
use super::schema::{self, expand};
use super::session::Connector;

/// The version of the schema since which a store can be a copy.
const FIRST_WITH_COPIES: i32 = 2;

/// Why a schema was not removed. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestroyError {
    /// The database cannot be used.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The store in it is not a copy.
    #[error(
        "the schema `{0}` is not removed: the store in it is in use and holds data; only a copy is removed"
    )]
    Primary(SchemaName),
    /// Mainstay did not make it.
    #[error("the schema `{0}` is not removed: it holds no store")]
    NoStore(SchemaName),
}

impl Postgres {
    /// Removes the schema with all that is in it, whoever put it there, if the store in it is a copy or was never written to.
    /// Nothing is done if there is no such schema.
    ///
    /// Cancel safe: all of it goes, or nothing.
    pub async fn destroy(options: Options) -> Result<(), DestroyError> {
        let limit = options.answer_timeout();
        let removing = tokio::time::timeout(limit, remove(options)).await;
        removing.unwrap_or_else(|_| {
            let reason = format!("it gave no answer for {} ms", limit.as_millis());
            Err(OpenError::Unavailable(reason.into()).into())
        })
    }
}

async fn remove(options: Options) -> Result<(), DestroyError> {
    let schema = options.schema.clone();
    let mut session = Connector::new(options)?.session().await?;
    let transaction = session
        .client
        .transaction()
        .await
        .map_err(|error| unavailable(&error))?;
    // Whoever commits to it or promotes it has done so, or will find nothing.
    let lock = expand("SELECT pg_advisory_xact_lock({lock})", &schema);
    transaction
        .batch_execute(&lock)
        .await
        .map_err(|error| unavailable(&error))?;
    let ask = |question: &str| expand(&format!("SELECT {question}"), &schema);
    if !is_so(&transaction, &ask("to_regnamespace('{schema}') IS NOT NULL")).await? {
        return Ok(());
    }
    if !is_so(
        &transaction,
        &ask("to_regclass('{schema}.migrations') IS NOT NULL"),
    )
    .await?
    {
        return Err(DestroyError::NoStore(schema));
    }
    let version = schema::version(&transaction, &schema).await?;
    let is_copy = version >= FIRST_WITH_COPIES
        && is_so(
            &transaction,
            &ask("EXISTS (SELECT FROM {schema}.role WHERE is_replica)"),
        )
        .await?;
    // What was deleted has left a moment.
    if !is_copy && is_so(&transaction, &ask("EXISTS (SELECT FROM {schema}.moments)")).await? {
        return Err(DestroyError::Primary(schema));
    }
    let drop_it = expand("DROP SCHEMA {schema} CASCADE", &schema);
    transaction
        .batch_execute(&drop_it)
        .await
        .map_err(|error| unavailable(&error))?;
    transaction.commit().await.map_err(|error| unavailable(&error))?;
    tracing::info!(%schema, "the schema of a store was removed");
    Ok(())
}

async fn is_so(transaction: &Transaction<'_>, question: &str) -> Result<bool, DestroyError> {
    let row = transaction
        .query_one(question, &[])
        .await
        .map_err(|error| unavailable(&error))?;
    row.try_get(0).map_err(|error| unavailable(&error))
}

fn unavailable(error: &tokio_postgres::Error) -> DestroyError {
    OpenError::Unavailable(describe(error)).into()
}
