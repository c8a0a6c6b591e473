//! The keys of the tree: one byte in front tells what they are for.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::Token;
use crate::key::{Key, KeyRange};

const TOKENS: u8 = 0;
const DATA: u8 = 1;
const AFTER_DATA: u8 = 2;

/// The tree's key for a key of the store.
pub(super) fn data(key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + key.len());
    bytes.put_u8(DATA);
    bytes.put_slice(key);
    bytes.freeze()
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

/// The tree's keys for tokens of generations before this one.
pub(super) fn tokens_before(generation: u32) -> (Bound<Bytes>, Bound<Bytes>) {
    let mut end = BytesMut::with_capacity(5);
    end.put_u8(TOKENS);
    end.put_u32(generation);
    (
        Bound::Included(Bytes::from_static(&[TOKENS])),
        Bound::Excluded(end.freeze()),
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
