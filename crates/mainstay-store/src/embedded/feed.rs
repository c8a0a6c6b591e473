//! What is kept for followers: each commit once more, in the order of their versions, with how much was kept in all.
//!
//! ```text
//!   bytes kept so far 8 | record
//! ```
//! It is written with the commit itself, as one more change of its record.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::line::Follower;
use super::log::record::{self, Change, Record};
use super::snapshots::Moment;
use super::space;
use super::tree::{LATEST, Tree, TreeError};
use crate::error::Damage;
use crate::key::Value;
use crate::replication::{Changes, Committed, FollowError, FollowerName, Following, MAX_CHANGES_BYTES};
use crate::version::Version;

/// What keeps a commit, and how many bytes are kept with it.
pub(super) fn keep(version: Version, changes: &[Change], bytes_before: u64) -> (Change, u64) {
    let mut record = BytesMut::new();
    record::encode(version.as_u64(), changes, &mut record);
    let bytes = bytes_before + record.len() as u64;
    let mut value = BytesMut::with_capacity(8 + record.len());
    value.put_u64(bytes);
    value.put_slice(&record);
    (Change::put(space::fed(version), value.freeze()), bytes)
}

/// The latest commit that is kept, and how much was kept with it.
pub(super) fn end(tree: &Tree) -> Result<(Version, u64), TreeError> {
    let all = space::fed_between(Version::ZERO, Version::from_u64(LATEST));
    match tree.range(all, LATEST).next_back() {
        Some(found) => {
            let (key, _, value) = found?;
            let version = space::fed_version(&key).ok_or_else(damaged)?;
            Ok((version, bytes_kept(&value)?))
        }
        None => Ok((Version::ZERO, 0)),
    }
}

/// How much was kept with the latest commit in a part of the line, if one is kept there.
pub(super) fn bytes_at(
    tree: &Tree,
    after: Version,
    up_to: Version,
    bound: u64,
) -> Result<Option<u64>, TreeError> {
    let latest = tree.range(space::fed_between(after, up_to), bound).next_back();
    latest.map(|found| bytes_kept(&found?.2)).transpose()
}

/// The changes that a follower asks for.
pub(super) fn changes(
    tree: &Tree,
    moment: &Moment,
    name: &FollowerName,
    after: Version,
) -> Result<Changes, FollowError> {
    let follower = tree.get(&space::follower(name), moment.bound()).map_err(read)?;
    let Some((_, follower)) = follower else {
        return Err(FollowError::Unknown(name.clone()));
    };
    let follower = Follower::decode(follower).ok_or_else(|| read(damaged()))?;
    if follower.is_lost {
        return Err(FollowError::Lost(name.clone()));
    }
    if after < follower.confirmed {
        return Err(FollowError::Confirmed {
            after,
            confirmed: follower.confirmed,
        });
    }
    let mut commits: Vec<Committed> = Vec::new();
    let mut bytes = 0;
    let latest = Version::from_u64(LATEST);
    for found in tree.range(space::fed_between(after, latest), moment.bound()) {
        let commit = decode(found.map_err(read)?.2).ok_or_else(|| read(damaged()))?;
        bytes += commit.size_bytes();
        if bytes > MAX_CHANGES_BYTES
            && let Some(last) = commits.last()
        {
            return Ok(Changes {
                up_to: last.version,
                commits,
                has_more: true,
            });
        }
        commits.push(commit);
    }
    Ok(Changes {
        commits,
        up_to: moment.version().max(after),
        has_more: false,
    })
}

/// Who follows at a moment.
pub(super) fn followers(tree: &Tree, moment: &Moment) -> Result<Vec<Following>, TreeError> {
    let followers = tree.range(space::followers(), moment.bound());
    let followers = followers.map(|found| {
        let (key, _, value) = found?;
        let name = space::follower_name(&key).ok_or_else(damaged)?;
        let follower = Follower::decode(value).ok_or_else(damaged)?;
        let latest = Version::from_u64(LATEST);
        let bytes = if follower.is_lost {
            None
        } else {
            bytes_at(tree, follower.confirmed, latest, moment.bound())?
        };
        Ok(Following {
            name,
            confirmed: follower.confirmed,
            kept_bytes: bytes.map_or(0, |bytes| bytes.saturating_sub(follower.confirmed_bytes)),
            is_lost: follower.is_lost,
        })
    });
    followers.collect()
}

fn bytes_kept(value: &Bytes) -> Result<u64, TreeError> {
    value.clone().try_get_u64().map_err(|_| damaged())
}

fn decode(mut value: Bytes) -> Option<Committed> {
    value.try_get_u64().ok()?;
    let record = Record::decode(&mut value)?;
    let mut commit = Committed {
        version: Version::from_u64(record.number),
        writes: Vec::with_capacity(record.changes.len()),
        token: None,
    };
    for Change { key, value, .. } in record.changes {
        if space::is_data(&key) {
            commit.writes.push((space::key(&key), value.map(Value::trusted)));
        } else {
            commit.token = Some(space::token_of(&key)?);
        }
    }
    value.is_empty().then_some(commit)
}

/// It has a good checksum and makes no sense.
fn damaged() -> TreeError {
    Damage::new("what is kept for followers makes no sense").into()
}

fn read(error: TreeError) -> FollowError {
    FollowError::Read(error.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 1..most).prop_map(Bytes::from)
    }

    proptest! {
        #[test]
        fn what_is_kept_is_told(
            writes in proptest::collection::vec((bytes(20), proptest::option::of(bytes(60))), 1..6),
            token in proptest::option::of(bytes(20)),
            version in any::<u64>(),
            is_copied in any::<bool>(),
        ) {
            let version = Version::from_u64(version);
            let own = is_copied.then_some(version);
            let mut changes: Vec<_> = writes
                .iter()
                .map(|(key, value)| Change { key: space::data(key), value: value.clone(), version: own })
                .collect();
            let token = token.map(crate::batch::Token::trusted);
            if let Some(token) = &token {
                changes.push(Change::put(space::token(3, token), Bytes::new()));
            }
            let (change, total) = keep(version, &changes, 1_000);
            let value = change.value.unwrap();
            prop_assert!(total > 1_000 && bytes_kept(&value).unwrap() == total);
            prop_assert_eq!(space::fed_version(&change.key), Some(version));
            let expected = Committed {
                version,
                writes: writes
                    .into_iter()
                    .map(|(key, value)| (crate::Key::trusted(key), value.map(Value::trusted)))
                    .collect(),
                token,
            };
            prop_assert_eq!(decode(value), Some(expected));
        }

        #[test]
        fn anything_may_be_decoded(value in bytes(200)) {
            let _ = decode(value);
        }
    }
}
