//! What a value is checked by: XXH3 of it, exclusive or the version of its commit, which only the server knows when it is
//! written. The server's own page checksums, where they are on, guard the keys as well.

use crate::error::Damage;
use crate::version::Version;

/// The part that is known before the commit.
pub(super) fn of_value(value: &[u8]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(value).cast_signed()
}

/// Whether the value and the version are those that were written.
pub(super) fn check(key: &[u8], value: &[u8], version: Version, stored: i64) -> Result<(), Damage> {
    if stored == of_value(value) ^ to_database(version) {
        return Ok(());
    }
    let key = key.escape_ascii();
    Err(Damage::new(format!(
        "the value of `{key}` does not match its checksum"
    )))
}

/// A version as the database holds it; versions keep their top bit clear.
pub(super) const fn to_database(version: Version) -> i64 {
    version.as_u64().cast_signed()
}

/// A version as the database gives it.
pub(super) const fn from_database(version: i64) -> Version {
    Version::from_u64(version.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let version = Version::from_u64(0x1234_5678_9abc);
        let stored = of_value(b"value") ^ to_database(version);
        assert_eq!(check(b"k", b"value", version, stored), Ok(()));
        for bit in 0..40 {
            let mut value = *b"value";
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(check(b"k", &value, version, stored).is_err());
        }
        for bit in 0..63 {
            let other = Version::from_u64(version.as_u64() ^ (1 << bit));
            assert!(check(b"k", b"value", other, stored).is_err());
        }
    }
}
