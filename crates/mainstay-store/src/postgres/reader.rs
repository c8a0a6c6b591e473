//! Reading: statements that show one moment each, and what their rows say.

use bytes::Bytes;
use tokio_postgres::{Client, Error, Row, Statement};

use super::checksum::{check, from_database};
use super::error::read_error;
use super::options::SchemaName;
use super::schema::expand;
use crate::error::ReadError;
use crate::key::{Key, Value};
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ENTRIES};
use crate::page;
use crate::port::{Direction, Entry, Page, Read, Scan, Stored};
use crate::version::Version;

/// The present moment. A statement sees one state of the database, so what it reads beside this is as of it.
pub(super) const MOMENT: &str =
    "coalesce((SELECT version FROM {schema}.moments ORDER BY version DESC LIMIT 1), 0)";

const READ: &str = "SELECT moment.version, present.key, present.value, present.version, present.checksum \
    FROM (SELECT {moment} AS version) AS moment \
    LEFT JOIN (unnest($1::bytea[]) WITH ORDINALITY AS wanted (key, place) \
        LEFT JOIN {schema}.keys AS present USING (key)) ON true \
    ORDER BY place";

/// `$1` the start, `$2` the end if there is one, `$3` how many rows. A page ends after the row with which it is full.
const SCAN: &str = "SELECT moment.version, page.key, page.value, page.version, page.checksum \
    FROM (SELECT {moment} AS version) AS moment \
    LEFT JOIN (SELECT * FROM ( \
        SELECT key, value, version, checksum, \
            sum(octet_length(key) + octet_length(value)) OVER (ORDER BY key {order} ROWS UNBOUNDED PRECEDING) \
                - octet_length(key) - octet_length(value) AS bytes_before \
        FROM {schema}.keys WHERE key >= $1 {end} ORDER BY key {order} LIMIT $2 \
    ) AS numbered WHERE bytes_before < {bytes}) AS page ON true \
    ORDER BY page.key {order}";

/// The statements, prepared on one connection.
pub(super) struct Statements {
    read: Statement,
    /// Forward, backward.
    open: [Statement; 2],
    /// The same with an end.
    ended: [Statement; 2],
}

impl Statements {
    pub(super) async fn prepare(client: &Client, schema: &SchemaName) -> Result<Self, Error> {
        let text = |statement: &str| expand(&statement.replace("{moment}", MOMENT), schema);
        let scan = |order: &str, end: &str| {
            let statement = SCAN.replace("{order}", order).replace("{end}", end);
            text(&statement.replace("{bytes}", &MAX_PAGE_BYTES.to_string()))
        };
        let end = "AND key < $3";
        Ok(Self {
            read: client.prepare(&text(READ)).await?,
            open: [
                client.prepare(&scan("ASC", "")).await?,
                client.prepare(&scan("DESC", "")).await?,
            ],
            ended: [
                client.prepare(&scan("ASC", end)).await?,
                client.prepare(&scan("DESC", end)).await?,
            ],
        })
    }

    /// Reads keys. Cancel safe.
    pub(super) async fn read(&self, client: &Client, keys: &[Key]) -> Result<Read, ReadError> {
        let wanted: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        let rows = client
            .query(&self.read, &[&wanted])
            .await
            .map_err(|error| read_error(&error))?;
        let at = moment(&rows)?;
        let found = rows.iter().map(|row| {
            let found = entry(row)?;
            Ok(found.map(|entry| Stored {
                value: entry.value,
                version: entry.version,
            }))
        });
        Ok(Read {
            at,
            // No keys give one row with the moment alone.
            values: found.take(keys.len()).collect::<Result<_, ReadError>>()?,
        })
    }

    /// Reads a page. Cancel safe.
    pub(super) async fn scan(&self, client: &Client, scan: &Scan) -> Result<Page, ReadError> {
        let limit = i64::try_from(scan.limit.clamp(1, MAX_PAGE_ENTRIES)).unwrap_or(i64::MAX);
        let start = scan.range.start.as_ref();
        let [forward, backward] = if scan.range.end.is_some() {
            &self.ended
        } else {
            &self.open
        };
        let statement = match scan.direction {
            Direction::Forward => forward,
            Direction::Backward => backward,
        };
        let rows = match scan.range.end.as_deref() {
            Some(end) => client.query(statement, &[&start, &limit, &end]).await,
            None => client.query(statement, &[&start, &limit]).await,
        };
        let rows = rows.map_err(|error| read_error(&error))?;
        page::fill(
            scan,
            moment(&rows)?,
            rows.iter().filter_map(|row| entry(row).transpose()),
        )
    }
}

/// The moment that all rows show; there is one row at least.
fn moment(rows: &[Row]) -> Result<Version, ReadError> {
    let Some(row) = rows.first() else {
        return Err(ReadError::Unavailable("the database gave no answer".into()));
    };
    let version: i64 = row.try_get(0).map_err(|error| read_error(&error))?;
    Ok(from_database(version))
}

/// The key in a row, if there is one.
fn entry(row: &Row) -> Result<Option<Entry>, ReadError> {
    let (Some(key), value, version, checksum) = columns(row).map_err(|error| read_error(&error))? else {
        return Ok(None);
    };
    let (value, version) = (
        value.unwrap_or_default(),
        from_database(version.unwrap_or_default()),
    );
    check(key, value, version, checksum.unwrap_or_default())?;
    Ok(Some(Entry {
        key: Key::trusted(Bytes::copy_from_slice(key)),
        value: Value::trusted(Bytes::copy_from_slice(value)),
        version,
    }))
}

type Columns<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<i64>, Option<i64>);

fn columns(row: &Row) -> Result<Columns<'_>, Error> {
    Ok((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
}
