//! The keys of the tree: one byte in front tells what they are for.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::Token;
use crate::key::{Key, KeyRange};
use crate::replication::FollowerName;
use crate::version::Version;

/// `generation 4 | token`
const TOKENS: u8 = 0;
/// `key`
const DATA: u8 = 1;
/// `0`, the role, or `1 | name` of a follower
const STANDING: u8 = 2;
/// `version 8` of a commit that followers may ask for
const FEED: u8 = 3;

const AFTER_DATA: u8 = DATA + 1;
const ROLE: u8 = 0;
const FOLLOWER: u8 = 1;

/// The tree's key for a key of the store.
pub(super) fn data(key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + key.len());
    bytes.put_u8(DATA);
    bytes.put_slice(key);
    bytes.freeze()
}

/// Whether it is the tree's key for a key of the store.
pub(super) fn is_data(tree_key: &[u8]) -> bool {
    tree_key.first() == Some(&DATA)
}

/// The store's key for a key of the tree.
pub(super) fn key(tree_key: &Bytes) -> Key {
    Key::trusted(tree_key.slice(1.min(tree_key.len())..))
}

/// The tree's keys for a range of the store.
pub(super) fn range(range: &KeyRange) -> (Bound<Bytes>, Bound<Bytes>) {
    let end = match &range.end {
        // The tree does not take ranges that end before they begin.
        _ if range.is_empty() => data(&range.start),
        Some(end) => data(end),
        None => Bytes::from_static(&[AFTER_DATA]),
    };
    (Bound::Included(data(&range.start)), Bound::Excluded(end))
}

/// The tree's key for a token of this generation.
pub(super) fn token(generation: u32, token: &Token) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + token.as_bytes().len());
    bytes.put_u8(TOKENS);
    bytes.put_u32(generation);
    bytes.put_slice(token.as_bytes());
    bytes.freeze()
}

/// The token of a key of the tree, if it is one's.
pub(super) fn token_of(tree_key: &Bytes) -> Option<Token> {
    let is_token = tree_key.first() == Some(&TOKENS) && tree_key.len() > 5;
    is_token.then(|| Token::trusted(tree_key.slice(5..)))
}

/// The tree's keys for tokens of this generation that come after one.
pub(super) fn tokens_after(generation: u32, after: Option<&Token>) -> (Bound<Bytes>, Bound<Bytes>) {
    let begin = match after {
        Some(after) => Bound::Excluded(token(generation, after)),
        None => Bound::Included(generation_begin(generation)),
    };
    let end = match generation.checked_add(1) {
        Some(next) => generation_begin(next),
        None => Bytes::from_static(&[DATA]),
    };
    (begin, Bound::Excluded(end))
}

fn generation_begin(generation: u32) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5);
    bytes.put_u8(TOKENS);
    bytes.put_u32(generation);
    bytes.freeze()
}

/// The tree's keys for tokens of generations before this one.
pub(super) fn tokens_before(generation: u32) -> (Bound<Bytes>, Bound<Bytes>) {
    (
        Bound::Included(Bytes::from_static(&[TOKENS])),
        Bound::Excluded(generation_begin(generation)),
    )
}

/// All of the tree's keys for tokens.
pub(super) fn tokens() -> (Bound<Bytes>, Bound<Bytes>) {
    (
        Bound::Included(Bytes::from_static(&[TOKENS])),
        Bound::Excluded(Bytes::from_static(&[DATA])),
    )
}

/// The generation of a token, from its key in the tree.
pub(super) fn generation(tree_key: &[u8]) -> Option<u32> {
    tree_key
        .get(1..)?
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// The tree's key for whether the store is a copy.
pub(super) fn role() -> Bytes {
    Bytes::from_static(&[STANDING, ROLE])
}

/// The tree's key for a follower.
pub(super) fn follower(name: &FollowerName) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + name.as_str().len());
    bytes.put_slice(&[STANDING, FOLLOWER]);
    bytes.put_slice(name.as_str().as_bytes());
    bytes.freeze()
}

/// The tree's keys for followers.
pub(super) fn followers() -> (Bound<Bytes>, Bound<Bytes>) {
    (
        Bound::Included(Bytes::from_static(&[STANDING, FOLLOWER])),
        Bound::Excluded(Bytes::from_static(&[STANDING, FOLLOWER + 1])),
    )
}

/// The name of a follower, from its key in the tree.
pub(super) fn follower_name(tree_key: &[u8]) -> Option<FollowerName> {
    let name = std::str::from_utf8(tree_key.get(2..)?).ok()?;
    FollowerName::new(name).ok()
}

/// The tree's key for a commit that followers may ask for.
pub(super) fn fed(version: Version) -> Bytes {
    let mut bytes = BytesMut::with_capacity(9);
    bytes.put_u8(FEED);
    bytes.put_u64(version.as_u64());
    bytes.freeze()
}

/// The tree's keys for commits after one version, up to and with another.
pub(super) fn fed_between(after: Version, up_to: Version) -> (Bound<Bytes>, Bound<Bytes>) {
    let begin = fed(after.next());
    // The tree does not take ranges that end before they begin.
    let end = fed(up_to.max(after).next());
    (Bound::Included(begin), Bound::Excluded(end))
}

/// The version of a commit, from its key among those that followers may ask for.
pub(super) fn fed_version(tree_key: &[u8]) -> Option<Version> {
    let number = tree_key.get(1..)?.first_chunk()?;
    Some(Version::from_u64(u64::from_be_bytes(*number)))
}
