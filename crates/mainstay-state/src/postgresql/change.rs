//! What operations are to the database: one statement, which does all of them or none.

use std::collections::BTreeMap;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::key;
use super::table::Names;
use crate::error::StateError;
use crate::port::{Etag, Operation, Requirement, Set};

/// Checks what is required ($1 to $3), and when all of it holds, writes ($4 to $7; no value deletes). Answers the first
/// requirement that does not hold.
///
/// Rows are locked in the order of their keys before anything is written, so that two of these rarely wait for each other.
const STATEMENT: &str = "
    WITH required AS (
        SELECT * FROM unnest($1::int4[], $2::text[], $3::text[]) AS r(position, key, etag)
    ), wanted AS (
        SELECT * FROM unnest($4::text[], $5::bytea[], $6::text[], $7::int8[]) AS w(key, value, content_type, seconds)
    ), found AS (
        SELECT t.key, t.etag::text AS etag, (t.expires_at IS NULL OR t.expires_at > now()) AS live
        FROM {table} t WHERE t.key = ANY ($4) ORDER BY t.key FOR UPDATE
    ), refused AS (
        SELECT r.position, CASE WHEN f.live THEN f.etag END AS etag
        FROM required r LEFT JOIN found f ON f.key = r.key
        WHERE CASE WHEN r.etag IS NULL THEN coalesce(f.live, false)
                   ELSE NOT coalesce(f.live AND f.etag = r.etag, false) END
    ), decision AS (
        SELECT (SELECT count(*) FROM found) >= 0 AND NOT EXISTS (SELECT FROM refused) AS holds
    ), removed AS (
        DELETE FROM {table} t USING wanted w, decision d
        WHERE d.holds AND t.key = w.key AND w.value IS NULL
    ), written AS (
        INSERT INTO {table} AS t (key, value, content_type, expires_at)
        SELECT w.key, w.value, w.content_type, now() + w.seconds * interval '1 second'
        FROM wanted w, decision d WHERE d.holds AND w.value IS NOT NULL ORDER BY w.key
        ON CONFLICT (key) DO UPDATE SET
            value = EXCLUDED.value, content_type = EXCLUDED.content_type, expires_at = EXCLUDED.expires_at,
            etag = gen_random_uuid(), updated_at = now()
    )
    SELECT position, etag FROM refused ORDER BY position LIMIT 1";

/// How far a change has to be kept apart from others that run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    /// One key, whatever it holds: the row's own lock is enough.
    ReadCommitted,
    /// One key with a requirement: whoever changed the row meanwhile makes it fail, and it is decided again.
    RepeatableRead,
    /// Several keys: as if nobody else were there.
    Serializable,
}

/// What is sent for some operations.
#[derive(Debug)]
pub(super) struct Change<'a> {
    required: Vec<(i32, String, Option<&'a str>)>,
    /// The last operation of each key.
    wanted: BTreeMap<String, Option<&'a Set>>,
}

/// The position of an operation whose requirement does not hold, and the `ETag` that its key has.
pub(super) type Refusal = (usize, Option<Etag>);

impl<'a> Change<'a> {
    pub(super) fn new(operations: &'a [Operation]) -> Self {
        let mut change = Self {
            required: Vec::new(),
            wanted: BTreeMap::new(),
        };
        for (position, operation) in (0..).zip(operations) {
            let key = key::encode(operation.key());
            let required = match operation.requirement() {
                Requirement::Nothing => None,
                Requirement::Absent => Some(None),
                Requirement::At(etag) => Some(Some(etag.as_str())),
            };
            if let Some(etag) = required {
                change.required.push((position, key.clone(), etag));
            }
            let set = match operation {
                Operation::Set(set) => Some(set),
                Operation::Delete(_) => None,
            };
            change.wanted.insert(key, set);
        }
        change
    }

    fn isolation(&self) -> Isolation {
        match (self.wanted.len(), self.required.is_empty()) {
            (..=1, true) => Isolation::ReadCommitted,
            (..=1, false) => Isolation::RepeatableRead,
            _ => Isolation::Serializable,
        }
    }

    /// Does it, in one round trip. Not cancel safe: it may be done or not.
    pub(super) async fn run(&self, client: &Client, names: &Names) -> Result<Option<Refusal>, Error> {
        let begin = match self.isolation() {
            Isolation::ReadCommitted => return self.statement(client, names).await,
            Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        // In this order they are sent, without waiting for answers in between. A statement that fails makes the last one
        // undo what there is to undo.
        let (begun, answer, ended) = tokio::join!(biased;
            client.batch_execute(begin),
            self.statement(client, names),
            client.batch_execute("COMMIT"),
        );
        begun?;
        let refusal = answer?;
        ended?;
        Ok(refusal)
    }

    async fn statement(&self, client: &Client, names: &Names) -> Result<Option<Refusal>, Error> {
        let positions: Vec<i32> = self.required.iter().map(|(position, ..)| *position).collect();
        let required: Vec<&str> = self.required.iter().map(|(_, key, _)| key.as_str()).collect();
        let etags: Vec<Option<&str>> = self.required.iter().map(|(.., etag)| *etag).collect();
        let keys: Vec<&str> = self.wanted.keys().map(String::as_str).collect();
        let of_sets = || self.wanted.values();
        let values: Vec<Option<&[u8]>> = of_sets().map(|set| set.map(|set| set.value.as_ref())).collect();
        let types: Vec<Option<&str>> = of_sets()
            .map(|set| set.and_then(|set| set.content_type.as_deref()))
            .collect();
        let seconds: Vec<Option<i64>> = of_sets().map(|set| set.and_then(seconds)).collect();
        let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
            (&positions, Type::INT4_ARRAY),
            (&required, Type::TEXT_ARRAY),
            (&etags, Type::TEXT_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&values, Type::BYTEA_ARRAY),
            (&types, Type::TEXT_ARRAY),
            (&seconds, Type::INT8_ARRAY),
        ];
        let rows = client.query_typed(&names.expand(STATEMENT), &parameters).await?;
        rows.first().map(refusal).transpose()
    }
}

fn seconds(set: &Set) -> Option<i64> {
    Some(set.time_to_live?.as_seconds()?.into())
}

fn refusal(row: &Row) -> Result<Refusal, Error> {
    let position: i32 = row.try_get(0)?;
    let etag: Option<String> = row.try_get(1)?;
    Ok((
        usize::try_from(position).unwrap_or(usize::MAX),
        etag.and_then(Etag::new),
    ))
}

/// What the caller is told of a refusal.
pub(super) fn refused(operations: &[Operation], (position, etag): &Refusal) -> Result<(), StateError> {
    let Some(operation) = operations.get(*position) else {
        return Err(StateError::Contended("some keys".to_owned()));
    };
    let requirement = operation.requirement();
    requirement.check(operation.key(), etag.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Concurrency, Delete};

    #[test]
    fn the_last_operation_on_a_key_is_sent_with_all_that_is_required() {
        let mut first = Set::new("k", "1");
        first.concurrency = Concurrency::FirstWrite;
        let mut gone = Delete::new("l");
        gone.etag = Etag::new("e");
        let operations = [
            Operation::Set(Set::new("l", "0")),
            Operation::Set(first),
            Operation::Delete(gone),
            Operation::Set(Set::new("k", "2")),
        ];
        let change = Change::new(&operations);
        assert_eq!(
            change.required,
            [(1, "k".to_owned(), None), (2, "l".to_owned(), Some("e"))]
        );
        let wanted: Vec<_> = change.wanted.iter().collect();
        assert_eq!(wanted.len(), 2);
        assert_eq!(wanted[0].1.map(|set| set.value.as_ref()), Some(&b"2"[..]));
        assert!(wanted[1].1.is_none());
        assert_eq!(change.isolation(), Isolation::Serializable);
    }

    #[test]
    fn one_key_needs_less() {
        let mut first = Set::new("k", "1");
        assert_eq!(
            Change::new(&[Operation::Set(first.clone())]).isolation(),
            Isolation::ReadCommitted
        );
        first.concurrency = Concurrency::FirstWrite;
        assert_eq!(
            Change::new(&[Operation::Set(first)]).isolation(),
            Isolation::RepeatableRead
        );
    }
}
