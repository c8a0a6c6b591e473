//! Mainstay's stores, through their port.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use mainstay_store::embedded::{self, Embedded};
use mainstay_store::postgres::{self, Postgres};
use mainstay_store::{Batch, Key, Store, Value};

use super::Sink;

/// Opens the embedded store.
pub(super) fn embedded(folder: &Path) -> Result<Box<dyn Store>> {
    Ok(Box::new(Embedded::open(&embedded::Options::new(folder))?))
}

/// Opens the store on PostgreSQL.
pub(super) async fn postgres(url: &str) -> Result<Box<dyn Store>> {
    Ok(Box::new(Postgres::open(postgres::Options::new(url)?).await?))
}

impl Sink for Box<dyn Store> {
    async fn put(&self, key: String, value: Bytes) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(Key::new(key)?, Value::new(value)?);
        self.commit(batch).await?;
        Ok(())
    }
}
