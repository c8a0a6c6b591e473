//! Reading what followers are told: the feed in the table `changes`, and who they are.

use bytes::Bytes;
use tokio_postgres::{Error, Row};

use super::checksum::{check, from_database, to_database};
use super::error::read_error;
use super::pool::Pool;
use super::reader::MOMENT;
use crate::batch::Token;
use crate::error::{Damage, ReadError};
use crate::key::{Key, Value};
use crate::limits::MAX_PAGE_ENTRIES;
use crate::replication::{Changes, Committed, FollowError, FollowerName, Following, MAX_CHANGES_BYTES, Role};
use crate::version::Version;

/// `$1` the follower, `$2` after which version, `$3` how many bytes. What does not fit begins with the commit `cut`, unless
/// that is the first. One row at least; there is a change in it if there is a key.
const CHANGES: &str = "WITH \
    first AS MATERIALIZED ( \
        SELECT ends_at - {schema}.feed_bytes(key, value) AS begins_at \
        FROM {schema}.changes WHERE version > $2 ORDER BY version, place LIMIT 1), \
    cut AS MATERIALIZED ( \
        SELECT version FROM {schema}.changes WHERE ends_at > $3 + (SELECT begins_at FROM first) ORDER BY ends_at LIMIT 1), \
    last AS MATERIALIZED ( \
        SELECT CASE WHEN EXISTS (SELECT FROM cut) THEN coalesce( \
            (SELECT version FROM {schema}.changes WHERE version > $2 AND version < (SELECT version FROM cut) \
                ORDER BY version DESC LIMIT 1), \
            (SELECT version FROM cut)) \
        ELSE greatest($2, {moment}) END AS version) \
    SELECT follower.confirmed, follower.is_lost, last.version, \
        coalesce((SELECT max(version) FROM {schema}.changes) > last.version, false), \
        change.version, change.place, change.token, change.key, change.value, change.checksum \
    FROM last \
    LEFT JOIN {schema}.followers AS follower ON follower.name = $1 \
    LEFT JOIN LATERAL ( \
        SELECT * FROM {schema}.changes WHERE version > $2 AND version <= last.version \
    ) AS change ON NOT follower.is_lost AND follower.confirmed <= $2";

const FOLLOWERS: &str = "SELECT name, confirmed, \
        CASE WHEN is_lost THEN 0 ELSE {schema}.feed_end() - confirmed_at END, is_lost \
    FROM {schema}.followers ORDER BY name";

/// What nobody needs, some of it. The last commit stays: the feed goes on from its end.
const TRIM: &str = "DELETE FROM {schema}.changes WHERE ctid = ANY (ARRAY( \
    SELECT ctid FROM {schema}.changes \
    WHERE version <= coalesce((SELECT min(confirmed) FROM {schema}.followers WHERE NOT is_lost), 9223372036854775807) \
        AND version < (SELECT max(version) FROM {schema}.changes) \
    ORDER BY version, place LIMIT $1))";

/// What the server knows of the size of the table, which may be nothing.
const ABOUT_ENTRIES: &str = "SELECT CASE WHEN reltuples >= 0 THEN reltuples::bigint \
    ELSE (SELECT count(*) FROM {schema}.keys) END \
    FROM pg_class WHERE oid = '{schema}.keys'::regclass";

/// The changes after a version.
pub(super) async fn changes(
    pool: &Pool,
    name: &FollowerName,
    after: Version,
) -> Result<Changes, FollowError> {
    let statement = CHANGES.replace("{moment}", MOMENT);
    let most = i64::try_from(MAX_CHANGES_BYTES).unwrap_or(i64::MAX);
    let rows = pool
        .query(&statement, &[&name.as_str(), &to_database(after), &most])
        .await?;
    let Some(head) = rows.first() else {
        return Err(ReadError::Unavailable("the database gave no answer".into()).into());
    };
    let head = Head::of(head).map_err(|error| read_error(&error))?;
    match (head.confirmed, head.is_lost) {
        (None, _) => return Err(FollowError::Unknown(name.clone())),
        (_, Some(true)) => return Err(FollowError::Lost(name.clone())),
        (Some(confirmed), _) if confirmed > after => return Err(FollowError::Confirmed { after, confirmed }),
        _ => {}
    }
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        changes.extend(Change::of(row).map_err(|error| read_error(&error))?);
    }
    Ok(Changes {
        commits: commits(changes)?,
        up_to: head.up_to,
        has_more: head.has_more,
    })
}

/// What every row says.
struct Head {
    confirmed: Option<Version>,
    is_lost: Option<bool>,
    up_to: Version,
    has_more: bool,
}

impl Head {
    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            confirmed: row.try_get::<_, Option<i64>>(0)?.map(from_database),
            is_lost: row.try_get(1)?,
            up_to: from_database(row.try_get(2)?),
            has_more: row.try_get(3)?,
        })
    }
}

/// One write of a commit.
struct Change<'a> {
    version: Version,
    place: i32,
    token: Option<&'a [u8]>,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    checksum: i64,
}

impl<'a> Change<'a> {
    /// The change in a row, if there is one.
    fn of(row: &'a Row) -> Result<Option<Self>, Error> {
        let Some(version) = row.try_get::<_, Option<i64>>(4)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            version: from_database(version),
            place: row.try_get(5)?,
            token: row.try_get(6)?,
            key: row.try_get(7)?,
            value: row.try_get(8)?,
            checksum: row.try_get(9)?,
        }))
    }
}

/// Puts the writes of each commit together.
fn commits(mut changes: Vec<Change<'_>>) -> Result<Vec<Committed>, ReadError> {
    changes.sort_by_key(|change| (change.version, change.place));
    let mut commits = Vec::new();
    for writes in changes.chunk_by(|first, second| first.version == second.version) {
        let mut commit = Committed {
            version: Version::ZERO,
            writes: Vec::with_capacity(writes.len()),
            token: None,
        };
        for write in writes {
            if let Some(value) = write.value {
                check(write.key, value, write.version, write.checksum)?;
            }
            commit.version = write.version;
            if let Some(bytes) = write.token {
                commit.token = Some(token(bytes)?);
            }
            let value = write
                .value
                .map(|value| Value::trusted(Bytes::copy_from_slice(value)));
            commit
                .writes
                .push((Key::trusted(Bytes::copy_from_slice(write.key)), value));
        }
        commits.push(commit);
    }
    Ok(commits)
}

/// About how many keys there are.
pub(super) async fn about_entries(pool: &Pool) -> Result<u64, ReadError> {
    let rows = pool.query(ABOUT_ENTRIES, &[]).await?;
    let count = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
    Ok(count.map_err(|error| read_error(&error))?.unsigned_abs())
}

/// Who follows.
pub(super) async fn followers(pool: &Pool) -> Result<Vec<Following>, ReadError> {
    let rows = pool.query(FOLLOWERS, &[]).await?;
    rows.iter().map(following).collect()
}

fn following(row: &Row) -> Result<Following, ReadError> {
    let columns = || -> Result<(&str, i64, i64, bool), Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
    };
    let (name, confirmed, kept_bytes, is_lost) = columns().map_err(|error| read_error(&error))?;
    Ok(Following {
        name: FollowerName::new(name).map_err(|invalid| Damage::new(invalid.to_string()))?,
        confirmed: from_database(confirmed),
        kept_bytes: u64::try_from(kept_bytes).unwrap_or_default(),
        is_lost,
    })
}

/// Whether the store takes commits or copies.
pub(super) async fn role(pool: &Pool) -> Result<Role, ReadError> {
    let rows = pool.query("SELECT is_replica FROM {schema}.role", &[]).await?;
    let Some(row) = rows.first() else {
        return Err(ReadError::Unavailable(
            "the store's database does not say what it is".into(),
        ));
    };
    let is_replica = row.try_get(0).map_err(|error| read_error(&error))?;
    Ok(if is_replica { Role::Replica } else { Role::Primary })
}

/// A page of tokens.
pub(super) async fn tokens(pool: &Pool, after: Option<&Token>) -> Result<Vec<(Token, Version)>, ReadError> {
    let statement = "SELECT token, version FROM {schema}.tokens WHERE token > $1 ORDER BY token LIMIT $2";
    // No token is empty, so all of them are after this.
    let after = after.map_or(&[][..], |token| token.as_bytes());
    let most = i64::try_from(MAX_PAGE_ENTRIES).unwrap_or(i64::MAX);
    let rows = pool.query(statement, &[&after, &most]).await?;
    let page = rows.iter().map(|row| {
        let columns = || -> Result<(&[u8], i64), Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let (bytes, version) = columns().map_err(|error| read_error(&error))?;
        Ok((token(bytes)?, from_database(version)))
    });
    page.collect()
}

/// Removes some of what nobody needs any more. Gives whether there may be more.
pub(super) async fn trim(pool: &Pool) -> Result<bool, ReadError> {
    const CHUNK: i64 = 20_000;
    let removed = pool.remove(TRIM, &[&CHUNK]).await?;
    Ok(removed >= CHUNK.unsigned_abs())
}

fn token(bytes: &[u8]) -> Result<Token, ReadError> {
    let token = Token::new(Bytes::copy_from_slice(bytes));
    token.map_err(|invalid| Damage::new(invalid.to_string()).into())
}
