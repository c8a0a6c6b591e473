//! Several batches as the arguments of one call, and its answer.

use tokio_postgres::{Error, Row, Statement};

use super::checksum::{from_database, of_value, to_database};
use super::fenced::Fenced;
use super::queue::{Answer, Waiting};
use crate::batch::{Batch, Condition, Write};
use crate::error::{CommitError, Conflict};
use crate::port::Commit;
use crate::version::Version;

/// The statement; its arguments are those of [`Arguments`].
pub(super) const COMMIT_GROUP: &str = "SELECT outcome, at_version, condition, actual FROM \
    {schema}.commit_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// The batches, laid side by side. The function in `schema/commit.sql` says what each is.
#[derive(Debug, Default)]
struct Arguments<'a> {
    tokens: Vec<Option<&'a [u8]>>,
    condition_ends: Vec<i32>,
    condition_kinds: Vec<i16>,
    condition_keys: Vec<&'a [u8]>,
    range_ends: Vec<Option<&'a [u8]>>,
    condition_versions: Vec<Option<i64>>,
    condition_counts: Vec<i64>,
    write_ends: Vec<i32>,
    write_kinds: Vec<i16>,
    write_keys: Vec<&'a [u8]>,
    values: Vec<Option<&'a [u8]>>,
    checksums: Vec<i64>,
}

impl<'a> Arguments<'a> {
    fn of(group: &'a [Waiting]) -> Self {
        let mut arguments = Self::default();
        for waiting in group {
            arguments.add(&waiting.batch);
        }
        arguments
    }

    fn add(&mut self, batch: &'a Batch) {
        self.tokens
            .push(batch.token().map(|token| token.as_bytes().as_ref()));
        for condition in batch.conditions() {
            self.add_condition(condition);
        }
        self.condition_ends.push(length(&self.condition_kinds));
        for write in batch.writes() {
            self.add_write(write);
        }
        self.write_ends.push(length(&self.write_kinds));
    }

    fn add_condition(&mut self, condition: &'a Condition) {
        let (kind, key, end, version, count) = match condition {
            Condition::KeyAt { key, version } => (0, key.as_ref(), None, Some(*version), 0),
            Condition::KeyAbsent { key } => (1, key.as_ref(), None, None, 0),
            Condition::RangeUnchanged { range, since, count } => (
                2,
                range.start.as_ref(),
                range.end.as_deref(),
                Some(*since),
                *count,
            ),
        };
        self.condition_kinds.push(kind);
        self.condition_keys.push(key);
        self.range_ends.push(end);
        self.condition_versions.push(version.map(to_database));
        // One more than it is asked for, and no store holds so many keys.
        self.condition_counts
            .push(i64::try_from(count).unwrap_or(i64::MAX).min(i64::MAX - 1));
    }

    fn add_write(&mut self, write: &'a Write) {
        let (kind, key, value) = match write {
            Write::Put { key, value } => (0, key.as_ref(), Some(value)),
            Write::Delete { key } => (1, key.as_ref(), None),
            Write::Append { prefix, value } => (2, prefix.as_bytes().as_ref(), Some(value)),
        };
        self.write_kinds.push(kind);
        self.write_keys.push(key);
        self.values.push(value.map(AsRef::as_ref));
        self.checksums
            .push(value.map_or(0, |value| of_value(value.as_ref())));
    }
}

/// How many parts there are; the bounds of groups keep it small.
fn length(parts: &[i16]) -> i32 {
    i32::try_from(parts.len()).unwrap_or(i32::MAX)
}

/// Commits a group in one round trip. Gives an answer for each batch, in order.
///
/// Not cancel safe: the server goes on.
pub(super) async fn commit(
    connection: &Fenced,
    statement: &Statement,
    group: &[Waiting],
) -> Result<Vec<Answer>, Error> {
    let arguments = Arguments::of(group);
    let rows = connection
        .session
        .client
        .query(
            statement,
            &[
                &connection.id.as_ref(),
                &connection.number,
                &arguments.tokens,
                &arguments.condition_ends,
                &arguments.condition_kinds,
                &arguments.condition_keys,
                &arguments.range_ends,
                &arguments.condition_versions,
                &arguments.condition_counts,
                &arguments.write_ends,
                &arguments.write_kinds,
                &arguments.write_keys,
                &arguments.values,
                &arguments.checksums,
            ],
        )
        .await?;
    let mut conditions_before = 0;
    let mut answers = Vec::with_capacity(rows.len());
    for (row, waiting) in rows.iter().zip(group) {
        answers.push(answer(row, &waiting.batch, conditions_before)?);
        conditions_before += waiting.batch.conditions().len();
    }
    Ok(answers)
}

/// What one row of the answer says about its batch.
fn answer(row: &Row, batch: &Batch, conditions_before: usize) -> Result<Answer, Error> {
    let outcome: i16 = row.try_get(0)?;
    let version: Option<i64> = row.try_get(1)?;
    let version = version.map_or(Version::ZERO, from_database);
    if outcome < 2 {
        let replayed = outcome == 1;
        return Ok(Ok(Commit { version, replayed }));
    }
    let index: i32 = row.try_get(2)?;
    let found: Option<i64> = row.try_get(3)?;
    let position = usize::try_from(index)
        .unwrap_or_default()
        .saturating_sub(conditions_before);
    let Some(condition) = batch.conditions().get(position) else {
        // The function never says so; a batch that was not committed must not pass for one that was.
        let reason = "the database names a condition that the batch does not have";
        return Ok(Err(CommitError::Unavailable(reason.into())));
    };
    Ok(Err(CommitError::Conflict(Box::new(Conflict {
        position,
        condition: condition.clone(),
        found: found.map(from_database),
    }))))
}
