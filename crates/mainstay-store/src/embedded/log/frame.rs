//! The bytes of a log file: a head, then groups, each with a checksum that is good only in its place, then zeros.
//!
//! ```text
//!   head   magic 8 | file number 8 | durable bytes of the file before 8 | salt 8 | checksum 8
//!   group  checksum 8 | magic 4 | payload bytes 4 | payload
//! ```
//! Numbers are big endian. The salt is random and part of every checksum of the file, so that nobody can have a value
//! stored that passes for a group.

use std::hash::{BuildHasher, RandomState};

use bytes::{Buf, BufMut, BytesMut};

use crate::embedded::checksum;

const FILE_MAGIC: [u8; 8] = *b"MSTLOG\0\x01";
const GROUP_MAGIC: [u8; 4] = *b"MSTG";

/// Bytes of a file's head.
pub(in crate::embedded) const HEAD_BYTES: usize = 40;

/// Bytes of a group before its payload.
pub(in crate::embedded) const GROUP_HEAD_BYTES: usize = 16;

/// What the head of a log file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Head {
    /// The number of the file.
    pub number: u64,
    /// How much of the file before it is durable, for all time.
    pub bytes_before: u64,
    /// Goes into every checksum of the file.
    pub salt: u64,
}

impl Head {
    /// The head of a new file.
    pub(in crate::embedded) fn new(number: u64, bytes_before: u64) -> Self {
        Self {
            number,
            bytes_before,
            // The standard library's source of randomness for hash tables.
            salt: RandomState::new().hash_one(number),
        }
    }

    pub(in crate::embedded) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.put_slice(&FILE_MAGIC);
        bytes.put_u64(self.number);
        bytes.put_u64(self.bytes_before);
        bytes.put_u64(self.salt);
        bytes.put_u64(checksum::of(&bytes));
        bytes
    }

    /// The head that `bytes` begin with; `None` when it is not whole or another file's.
    pub(in crate::embedded) fn decode(bytes: &[u8], number: u64) -> Option<Self> {
        let given = bytes.get(..HEAD_BYTES)?;
        let mut rest = given.get(16..)?;
        let head = Self {
            number,
            bytes_before: rest.try_get_u64().ok()?,
            salt: rest.try_get_u64().ok()?,
        };
        (given == head.encode()).then_some(head)
    }
}

/// Begins a group: room for its head, to which the payload is added.
pub(in crate::embedded) fn begin(group: &mut BytesMut) {
    group.clear();
    group.put_bytes(0, GROUP_HEAD_BYTES);
}

/// Completes a group that will stand at `offset` of the file with this salt.
pub(in crate::embedded) fn finish(group: &mut BytesMut, salt: u64, offset: u64) {
    let payload_bytes = group.len().saturating_sub(GROUP_HEAD_BYTES) as u32;
    if let Some((_, mut rest)) = group.split_at_mut_checked(8) {
        rest.put_slice(&GROUP_MAGIC);
        rest.put_u32(payload_bytes);
    }
    let sum = group
        .get(8..)
        .map_or(0, |rest| checksum::in_place(rest, salt, offset));
    let mut head = group.as_mut();
    head.put_u64(sum);
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Contents<'a> {
    /// The payloads of its groups, in order, each with where it ends.
    pub payloads: Vec<(u64, &'a [u8])>,
    /// Up to where it is whole.
    pub whole_bytes: u64,
    /// Whether a whole group stands behind something that is not whole.
    pub has_more: bool,
}

/// Reads a file; `None` when not even its head is whole.
pub(in crate::embedded) fn read(bytes: &[u8], number: u64) -> Option<Contents<'_>> {
    let salt = Head::decode(bytes, number)?.salt;
    let mut payloads = Vec::new();
    let mut offset = HEAD_BYTES;
    while let Some(payload) = group_at(bytes, salt, offset) {
        offset += GROUP_HEAD_BYTES + payload.len();
        payloads.push((offset as u64, payload));
    }
    Some(Contents {
        payloads,
        whole_bytes: offset as u64,
        has_more: any_group_after(bytes, salt, offset),
    })
}

/// Whether any whole group stands somewhere behind `offset`.
fn any_group_after(bytes: &[u8], salt: u64, offset: usize) -> bool {
    let magic_offset = 8;
    let Some(rest) = bytes.get(offset..) else {
        return false;
    };
    let found = rest
        .windows(GROUP_MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == GROUP_MAGIC);
    found
        .filter_map(|(at, _)| at.checked_sub(magic_offset))
        .any(|at| group_at(bytes, salt, offset + at).is_some())
}

/// The payload of the whole group at `offset`.
fn group_at(bytes: &[u8], salt: u64, offset: usize) -> Option<&[u8]> {
    let group = bytes.get(offset..)?;
    let (sum, rest) = group.split_first_chunk::<8>()?;
    let (magic, after_magic) = rest.split_first_chunk::<4>()?;
    let (length, payload) = after_magic.split_first_chunk::<4>()?;
    if *magic != GROUP_MAGIC {
        return None;
    }
    let length = u32::from_be_bytes(*length) as usize;
    let payload = payload.get(..length)?;
    let covered = rest.get(..8 + length)?;
    let whole = u64::from_be_bytes(*sum) == checksum::in_place(covered, salt, offset as u64);
    whole.then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let head = Head::new(7, 99);
        let mut bytes = head.encode();
        for payload in payloads {
            let mut group = BytesMut::new();
            begin(&mut group);
            group.put_slice(payload);
            finish(&mut group, head.salt, bytes.len() as u64);
            bytes.extend_from_slice(&group);
        }
        bytes
    }

    const PAYLOADS: [&[u8]; 3] = [b"one", b"", b"a longer one"];

    #[test]
    fn what_is_written_is_read() {
        let bytes = file(&PAYLOADS);
        let contents = read(&bytes, 7).unwrap();
        let found: Vec<_> = contents.payloads.iter().map(|(_, payload)| *payload).collect();
        assert_eq!(found, PAYLOADS);
        assert_eq!(Head::decode(&bytes, 7).map(|head| head.bytes_before), Some(99));
        assert_eq!(
            (contents.whole_bytes, contents.has_more),
            (bytes.len() as u64, false)
        );
        assert_eq!(read(&bytes, 8), None, "another file's number");
    }

    #[test]
    fn a_cut_file_is_whole_up_to_its_last_whole_group() {
        let bytes = file(&PAYLOADS);
        for length in 0..bytes.len() {
            match read(&bytes[..length], 7) {
                None => assert!(length < HEAD_BYTES),
                Some(contents) => {
                    assert!(contents.whole_bytes <= length as u64);
                    assert!(contents.payloads.len() < 3 && !contents.has_more);
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = file(&PAYLOADS);
        let last_group = bytes.len() - GROUP_HEAD_BYTES - PAYLOADS[2].len();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped, 7) {
                None => assert!(bit / 8 < HEAD_BYTES),
                Some(contents) => {
                    assert!(contents.payloads.len() < 3, "bit {bit}");
                    assert_eq!(contents.has_more, bit / 8 < last_group, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_group_is_good_only_in_its_place() {
        let bytes = file(&[b"one", b"two"]);
        let group = GROUP_HEAD_BYTES + 3;
        let (first, second) = (HEAD_BYTES..HEAD_BYTES + group, HEAD_BYTES + group..bytes.len());
        let mut swapped = bytes[..HEAD_BYTES].to_vec();
        swapped.extend_from_slice(&bytes[second]);
        swapped.extend_from_slice(&bytes[first]);
        assert!(read(&swapped, 7).unwrap().payloads.is_empty());
    }

    #[test]
    fn zeros_are_nothing() {
        let mut bytes = file(&[b"one"]);
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(&[0; 10_000]);
        let contents = read(&bytes, 7).unwrap();
        assert_eq!((contents.whole_bytes, contents.has_more), (whole, false));
    }
}
