//! Checksums: XXH3, 64 bits (Collet, 2019). They find accidents, not forgeries.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use crate::version::Version;

/// The checksum of `bytes`.
pub(super) fn of(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The checksum of `bytes` in this place: the same bytes elsewhere, or in a file with another salt, do not match.
pub(super) fn in_place(bytes: &[u8], salt: u64, offset: u64) -> u64 {
    xxh3_64_with_seed(bytes, salt ^ offset)
}

/// The checksum of a value under its key at its version.
pub(super) fn of_value(key: &[u8], version: Version, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64_with_seed(key, version.as_u64()))
}

/// The checksum that the tree keeps of its own files.
pub(super) fn of_tree_file(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}
