//! What is copied from another store, as the arguments of calls: see `schema/replication.sql`.

use std::collections::HashSet;

use super::checksum::{of_value, to_database};
use super::turns::{Argument, Turns};
use crate::batch::{InvalidBatch, Token};
use crate::error::CommitError;
use crate::port::Entry;
use crate::replication::{Committed, MAX_CHANGES_BYTES, MAX_PORTION_BYTES, Portion};
use crate::version::Version;

/// Most entries, tokens or commits of one call: each takes the server some time, however small it is.
const MAX_CALL_ITEMS: usize = 20_000;

/// Puts a portion there, part by part.
pub(super) async fn copy(turns: &Turns, mut portion: Portion) -> Result<(), CommitError> {
    let bytes = portion.size_bytes();
    if bytes > MAX_PORTION_BYTES {
        return Err(InvalidBatch::TooLarge(bytes).into());
    }
    // One call takes a key once, and the latest of it counts.
    sort_and_keep_latest(&mut portion.entries, |entry| (&entry.key, entry.version));
    sort_and_keep_latest(&mut portion.tokens, |(token, version)| {
        (token.as_bytes(), *version)
    });
    // An empty portion is asked about too: a primary refuses it.
    let calls = portion
        .entries
        .len()
        .max(portion.tokens.len())
        .div_ceil(MAX_CALL_ITEMS)
        .max(1);
    let part = |call: usize, length: usize| {
        let end = (call + 1).saturating_mul(MAX_CALL_ITEMS).min(length);
        (call * MAX_CALL_ITEMS).min(end)..end
    };
    for call in 0..calls {
        let entries = portion.entries.get(part(call, portion.entries.len()));
        let tokens = portion.tokens.get(part(call, portion.tokens.len()));
        copy_part(turns, entries.unwrap_or_default(), tokens.unwrap_or_default()).await?;
    }
    Ok(())
}

async fn copy_part(turns: &Turns, entries: &[Entry], tokens: &[(Token, Version)]) -> Result<(), CommitError> {
    let keys: Vec<&[u8]> = entries.iter().map(|entry| entry.key.as_ref()).collect();
    let values: Vec<&[u8]> = entries.iter().map(|entry| entry.value.as_ref()).collect();
    let versions: Vec<i64> = entries.iter().map(|entry| to_database(entry.version)).collect();
    let checksums: Vec<i64> = values
        .iter()
        .zip(&versions)
        .map(|(value, version)| of_value(value) ^ version)
        .collect();
    let token_versions: Vec<i64> = tokens.iter().map(|(_, version)| to_database(*version)).collect();
    let tokens: Vec<&[u8]> = tokens
        .iter()
        .map(|(token, _)| token.as_bytes().as_ref())
        .collect();
    let arguments: [Argument<'_>; 6] = [&keys, &values, &versions, &checksums, &tokens, &token_versions];
    turns.call("copy_portion", &arguments).await?;
    Ok(())
}

/// Sorts by name, and of those with the same name keeps the latest.
fn sort_and_keep_latest<T, N: Ord>(items: &mut Vec<T>, rank: impl Fn(&T) -> (&N, Version)) {
    let is_sorted = items.windows(2).all(|pair| match pair {
        [first, second] => rank(first).0 < rank(second).0,
        _ => true,
    });
    if is_sorted {
        return;
    }
    items.sort_by(|first, second| {
        let ((first, first_version), (second, second_version)) = (rank(first), rank(second));
        first.cmp(second).then(second_version.cmp(&first_version))
    });
    items.dedup_by(|second, first| rank(second).0 == rank(first).0);
}

/// Does what these commits did, in several calls when there are many.
pub(super) async fn apply(turns: &Turns, commits: &[Committed]) -> Result<(), CommitError> {
    let mut rest = commits;
    loop {
        let (now, later) = rest.split_at(call_length(rest));
        apply_part(turns, now).await?;
        if later.is_empty() {
            return Ok(());
        }
        rest = later;
    }
}

/// How many of these commits one call takes: one at least, if there is one.
fn call_length(commits: &[Committed]) -> usize {
    let (mut items, mut bytes) = (0, 0);
    let full = commits.iter().position(|commit| {
        items += 1 + commit.writes.len();
        bytes += commit.size_bytes();
        items > MAX_CALL_ITEMS || bytes > MAX_CHANGES_BYTES
    });
    full.unwrap_or(commits.len()).max(1).min(commits.len())
}

/// Commits, laid side by side; the function says what each argument is.
#[derive(Default)]
struct Arguments<'a> {
    commit_versions: Vec<i64>,
    commit_tokens: Vec<Option<&'a [u8]>>,
    versions: Vec<i64>,
    places: Vec<i32>,
    keys: Vec<&'a [u8]>,
    values: Vec<Option<&'a [u8]>>,
    checksums: Vec<i64>,
}

impl<'a> Arguments<'a> {
    fn add(&mut self, commit: &'a Committed) {
        let version = to_database(commit.version);
        self.commit_versions.push(version);
        self.commit_tokens
            .push(commit.token.as_ref().map(|token| token.as_bytes().as_ref()));
        for (place, (key, value)) in (0..).zip(&commit.writes) {
            let value = value.as_ref().map(AsRef::<[u8]>::as_ref);
            self.versions.push(version);
            self.places.push(place);
            self.keys.push(key.as_ref());
            self.values.push(value);
            self.checksums.push(value.map_or(0, of_value) ^ version);
        }
    }

    /// Which write is the last of its key.
    fn lasts(&self) -> Vec<bool> {
        let mut seen = HashSet::with_capacity(self.keys.len());
        let mut lasts: Vec<bool> = self.keys.iter().rev().map(|key| seen.insert(*key)).collect();
        lasts.reverse();
        lasts
    }
}

async fn apply_part(turns: &Turns, commits: &[Committed]) -> Result<(), CommitError> {
    let mut arguments = Arguments::default();
    for commit in commits {
        arguments.add(commit);
    }
    let lasts = arguments.lasts();
    let arguments: [Argument<'_>; 8] = [
        &arguments.commit_versions,
        &arguments.commit_tokens,
        &arguments.versions,
        &arguments.places,
        &arguments.keys,
        &arguments.values,
        &arguments.checksums,
        &lasts,
    ];
    turns.call("apply_commits", &arguments).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Value};

    fn entry(name: &'static str, version: u64) -> Entry {
        Entry {
            key: Key::new(name).unwrap(),
            value: Value::default(),
            version: Version::from_u64(version),
        }
    }

    fn commit(version: u64, writes: &[(&'static str, usize)]) -> Committed {
        let write = |(name, bytes): &(&'static str, usize)| {
            (
                Key::new(*name).unwrap(),
                Some(Value::new(vec![0; *bytes]).unwrap()),
            )
        };
        Committed {
            version: Version::from_u64(version),
            writes: writes.iter().map(write).collect(),
            token: None,
        }
    }

    #[test]
    fn the_latest_of_a_key_is_copied() {
        let mut entries = vec![entry("b", 2), entry("a", 1), entry("b", 3), entry("b", 1)];
        sort_and_keep_latest(&mut entries, |entry| (&entry.key, entry.version));
        assert_eq!(entries, [entry("a", 1), entry("b", 3)]);
    }

    #[test]
    fn the_last_write_of_a_key_counts() {
        let commits = [commit(1, &[("a", 1), ("b", 1)]), commit(2, &[("a", 2)])];
        let mut arguments = Arguments::default();
        for commit in &commits {
            arguments.add(commit);
        }
        assert_eq!(arguments.lasts(), [false, true, true]);
    }

    #[test]
    fn calls_are_bounded() {
        assert_eq!(call_length(&[]), 0);
        let large = commit(1, &[("a", MAX_CHANGES_BYTES / 4)]);
        assert_eq!(call_length(&vec![large; 9]), 3);
        let larger = commit(1, &[("a", MAX_CHANGES_BYTES / 4); 5]);
        assert_eq!(call_length(&[larger.clone(), larger]), 1);
        assert_eq!(
            call_length(&vec![commit(1, &[]); 3 * MAX_CALL_ITEMS]),
            MAX_CALL_ITEMS
        );
    }
}
