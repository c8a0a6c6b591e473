use super::*;
use crate::batch::{Condition, Token};
use crate::key::{KeyRange, Value};
use crate::port::{Entry, Stored};

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn value(text: &str) -> Value {
    Value::new(text.to_owned()).unwrap()
}

fn version(number: u64) -> Version {
    Version::from_u64(number)
}

fn put(name: &str, text: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), value(text));
    batch
}

fn at(time: std::ops::Range<u64>, action: Action) -> Operation {
    Operation {
        invoked: time.start,
        returned: time.end,
        action,
    }
}

fn committed(time: std::ops::Range<u64>, batch: Batch, number: u64) -> Operation {
    let outcome = Outcome::Committed(Commit {
        version: version(number),
        replayed: false,
    });
    at(time, Action::Commit { batch, outcome })
}

fn told(time: std::ops::Range<u64>, batch: Batch, outcome: Outcome) -> Operation {
    at(time, Action::Commit { batch, outcome })
}

fn read(time: std::ops::Range<u64>, snapshot: u64, name: &str, found: Option<(&str, u64)>) -> Operation {
    let stored = found.map(|(text, number)| Stored {
        value: value(text),
        version: version(number),
    });
    let read = Read {
        at: version(snapshot),
        values: vec![stored],
    };
    at(
        time,
        Action::Read {
            keys: vec![key(name)],
            read,
        },
    )
}

fn scan(time: std::ops::Range<u64>, snapshot: u64, found: &[(&str, &str, u64)]) -> Operation {
    let entries = found.iter().map(|(name, text, number)| Entry {
        key: key(name),
        value: value(text),
        version: version(*number),
    });
    let page = Page {
        at: version(snapshot),
        entries: entries.collect(),
        covered: KeyRange::all(),
        rest: None,
    };
    at(time, Action::Scan { page })
}

fn check(operations: Vec<Operation>) -> Result<Summary, Violation> {
    History::new(operations).check()
}

#[test]
fn a_legal_history() {
    let mut swap = put("a", "2");
    swap.require_version(key("a"), Some(version(10)));
    let mut late = put("a", "3");
    late.require_version(key("a"), Some(version(10)));
    let summary = check(vec![
        committed(1..2, put("a", "1"), 10),
        committed(3..6, swap, 20),
        read(4..5, 10, "a", Some(("1", 10))),
        told(4..8, late, Outcome::Conflict(0)),
        scan(9..10, 20, &[("a", "2", 20)]),
        told(9..11, put("b", "x"), Outcome::Refused),
    ]);
    let expected = Summary {
        commits: 2,
        conflicts: 1,
        reads: 2,
        unknown: 0,
        refused: 1,
    };
    assert_eq!(summary, Ok(expected));
}

#[test]
fn a_lost_write_is_found() {
    let operations = vec![committed(1..2, put("a", "1"), 10), read(3..4, 10, "a", None)];
    assert!(matches!(check(operations), Err(Violation::WrongRead { .. })));
    let operations = vec![committed(1..2, put("a", "1"), 10), scan(3..4, 10, &[])];
    assert!(matches!(check(operations), Err(Violation::WrongRead { .. })));
}

#[test]
fn an_invented_write_is_found() {
    let operations = vec![
        told(1..2, put("a", "1"), Outcome::Refused),
        scan(3..4, 10, &[("a", "1", 10)]),
    ];
    assert!(matches!(check(operations), Err(Violation::WrongRead { .. })));
}

#[test]
fn a_stale_snapshot_is_found() {
    let operations = vec![
        committed(1..2, put("a", "1"), 10),
        committed(3..4, put("a", "2"), 20),
        read(5..6, 10, "a", Some(("1", 10))),
    ];
    assert!(matches!(check(operations), Err(Violation::OutOfTime { .. })));
}

#[test]
fn versions_against_real_time_are_found() {
    let operations = vec![
        committed(1..2, put("a", "1"), 20),
        committed(3..4, put("b", "2"), 10),
    ];
    assert!(matches!(check(operations), Err(Violation::OutOfTime { .. })));
    // A read fixes the past too: what was not in it must come after it.
    let operations = vec![read(1..2, 15, "a", None), committed(3..4, put("a", "1"), 10)];
    assert!(check(operations).is_err());
}

#[test]
fn a_lost_update_is_found() {
    let mut one = put("a", "2");
    one.require_version(key("a"), Some(version(10)));
    let mut other = put("a", "3");
    other.require_version(key("a"), Some(version(10)));
    let operations = vec![
        committed(1..2, put("a", "1"), 10),
        committed(3..6, one, 20),
        committed(4..5, other, 30),
    ];
    assert!(matches!(
        check(operations),
        Err(Violation::ConditionIgnored { .. })
    ));
}

#[test]
fn write_skew_over_a_range_is_found() {
    let unchanged = Condition::RangeUnchanged {
        range: KeyRange::prefix("doctor/"),
        since: version(10),
        count: 1,
    };
    let mut one = Batch::new();
    one.require(unchanged.clone()).put(key("doctor/b"), value("on"));
    let mut other = Batch::new();
    other.require(unchanged).put(key("doctor/c"), value("on"));
    let operations = vec![
        committed(1..2, put("doctor/a", "on"), 10),
        committed(3..6, one, 20),
        committed(4..5, other, 30),
    ];
    assert!(matches!(
        check(operations),
        Err(Violation::ConditionIgnored { .. })
    ));
}

#[test]
fn a_made_up_conflict_is_found() {
    let mut batch = put("a", "2");
    batch.require_version(key("a"), Some(version(10)));
    let operations = vec![
        committed(1..2, put("a", "1"), 10),
        told(3..4, batch, Outcome::Conflict(0)),
    ];
    assert!(matches!(check(operations), Err(Violation::FalseConflict { .. })));
}

#[test]
fn a_batch_torn_apart_is_found() {
    let mut both = put("a", "1");
    both.put(key("b"), value("1"));
    let operations = vec![committed(1..2, both, 10), scan(3..4, 10, &[("a", "1", 10)])];
    assert!(matches!(check(operations), Err(Violation::WrongRead { .. })));
}

#[test]
fn an_unknown_outcome_is_settled_by_what_was_seen() {
    let summary = check(vec![
        told(1..2, put("a", "1"), Outcome::Unknown),
        told(1..2, put("b", "2"), Outcome::Unknown),
        scan(3..4, 10, &[("a", "1", 10)]),
    ]);
    assert_eq!(summary.map(|summary| summary.commits), Ok(1));
    // Once seen, it stays.
    let operations = vec![
        told(1..2, put("a", "1"), Outcome::Unknown),
        scan(3..4, 10, &[("a", "1", 10)]),
        scan(5..6, 10, &[]),
    ];
    assert!(check(operations).is_err());
}

#[test]
fn an_unknown_outcome_is_settled_by_its_token() {
    let mut batch = put("a", "1");
    batch.set_token(Token::new("t").unwrap());
    let replayed = |number, replayed| {
        Outcome::Committed(Commit {
            version: version(number),
            replayed,
        })
    };
    let summary = check(vec![
        told(1..2, batch.clone(), Outcome::Unknown),
        told(3..4, batch.clone(), replayed(10, true)),
        scan(5..6, 10, &[("a", "1", 10)]),
    ]);
    assert_eq!(summary.map(|summary| summary.commits), Ok(1));
    let operations = vec![
        told(1..2, batch.clone(), replayed(10, false)),
        told(3..4, batch.clone(), replayed(20, false)),
    ];
    assert!(matches!(check(operations), Err(Violation::CommittedTwice { .. })));
    let operations = vec![told(1..2, batch, replayed(10, true))];
    assert!(matches!(check(operations), Err(Violation::Invented { .. })));
}

#[test]
fn one_version_for_two_commits_is_found() {
    let operations = vec![
        committed(1..3, put("a", "1"), 10),
        committed(2..4, put("b", "1"), 10),
    ];
    assert_eq!(check(operations), Err(Violation::VersionTwice(version(10))));
}
