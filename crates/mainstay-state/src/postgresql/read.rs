//! Reading values.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::key;
use super::table::Names;
use crate::limits::MAX_LISTED;
use crate::listing::{Filling, ListPage, ListedKey, Listing};
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

/// The statement for so many keys like a pattern ($1) after another one ($2), in the order of their bytes ($3 of them at most).
/// An index on `(key COLLATE "C")` makes it fast on a large table; without one the server sorts.
const LIST: &str = "
    SELECT t.key, t.etag::text, octet_length(t.value), t.content_type,
        CASE WHEN isfinite(t.expires_at) THEN (extract(epoch FROM t.expires_at) * 1000)::int8 END
    FROM {table} t
    WHERE t.key COLLATE \"C\" LIKE $1 AND t.key COLLATE \"C\" > $2 AND (t.expires_at IS NULL OR t.expires_at > now())
    ORDER BY t.key COLLATE \"C\" LIMIT $3";

/// Reads a page of keys. Cancel safe.
pub(super) async fn list(client: &Client, names: &Names, listing: &Listing) -> Result<ListPage, Error> {
    let statement = names.expand(LIST);
    let pattern = key::pattern(&listing.prefix);
    let mut filling = Filling::new(listing);
    let most = i64::try_from(MAX_LISTED.min(listing.limit))
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut after = listing.after.as_deref().map(key::encode).unwrap_or_default();
    loop {
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&pattern, Type::TEXT), (&after, Type::TEXT), (&most, Type::INT8)];
        let rows = client.query_typed(&statement, &parameters).await?;
        for row in &rows {
            after = row.try_get(0)?;
            // Keys that were not written here are left out.
            if let Some(key) = key::decode(&after)
                && !filling.offer(listed(key, row)?)
            {
                return Ok(filling.finish());
            }
        }
        if rows.len() < usize::try_from(most).unwrap_or(usize::MAX) {
            return Ok(filling.finish());
        }
    }
}

fn listed(key: String, row: &Row) -> Result<ListedKey, Error> {
    let etag: String = row.try_get(1)?;
    let bytes: i32 = row.try_get(2)?;
    Ok(ListedKey {
        key,
        etag: Etag::given(etag),
        value_bytes: usize::try_from(bytes).unwrap_or_default(),
        content_type: row.try_get(3)?,
        expires_at_ms: expiry(row.try_get(4)?),
    })
}

fn expiry(expires_at_ms: Option<i64>) -> Option<u64> {
    expires_at_ms.and_then(|expires| u64::try_from(expires).ok())
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
    Ok(Item {
        value: Bytes::copy_from_slice(row.try_get(1)?),
        etag: Etag::given(etag),
        content_type: row.try_get(3)?,
        expires_at_ms: expiry(row.try_get(4)?),
    })
}
