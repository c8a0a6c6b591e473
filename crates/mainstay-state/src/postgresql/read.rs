//! Reading values.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::key;
use super::table::Names;
use crate::port::{Etag, Item};

/// What a row has to be for it to be seen.
const LIVE: &str = "(t.expires_at IS NULL OR t.expires_at > now())";

/// What is read of a row. A value that expires never, but says so, is no error.
const COLUMNS: &str = "t.key, t.value, t.etag::text, t.content_type, \
    CASE WHEN isfinite(t.expires_at) THEN (extract(epoch FROM t.expires_at) * 1000)::int8 END";

/// The statement that reads keys ($1).
fn by_keys() -> String {
    format!("SELECT {COLUMNS} FROM {{table}} t WHERE t.key = ANY ($1) AND {LIVE}")
}

/// The statement that reads what is like a pattern ($1).
pub(super) fn by_pattern(names: &Names) -> String {
    names.expand(&format!(
        "SELECT {COLUMNS} FROM {{table}} t WHERE t.key LIKE $1 AND {LIVE}"
    ))
}

/// Reads keys at one moment. Cancel safe.
pub(super) async fn read(
    client: &Client,
    names: &Names,
    keys: &[String],
) -> Result<Vec<Option<Item>>, Error> {
    let texts: Vec<String> = keys.iter().map(|key| key::encode(key)).collect();
    let rows = client
        .query_typed(&names.expand(&by_keys()), &[(&texts, Type::TEXT_ARRAY)])
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let text: String = row.try_get(0)?;
        found.insert(text, item(row)?);
    }
    Ok(texts.iter().map(|text| found.get(text).cloned()).collect())
}

/// The key and the value of a row; `None` when its key was not written here.
pub(super) fn entry(row: &Row) -> Result<Option<(String, Item)>, Error> {
    let Some(key) = key::decode(row.try_get(0)?) else {
        return Ok(None);
    };
    Ok(Some((key, item(row)?)))
}

fn item(row: &Row) -> Result<Item, Error> {
    let etag: String = row.try_get(2)?;
    let expires_at_ms: Option<i64> = row.try_get(4)?;
    Ok(Item {
        value: Bytes::copy_from_slice(row.try_get(1)?),
        etag: Etag::given(etag),
        content_type: row.try_get(3)?,
        expires_at_ms: expires_at_ms.and_then(|expires| u64::try_from(expires).ok()),
    })
}
