//! The checksum of a range: XXH3 over each key, version and value in order. Two stores with the same digest of a range hold
//! the same in it.

use mainstay_store::Entry;
use xxhash_rust::xxh3::Xxh3Default;

/// What a range holds, in sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    sum: u128,
    pub(crate) entries: u64,
}

/// Adds up entries in the order of their keys.
pub(crate) struct Digester {
    hash: Xxh3Default,
    entries: u64,
}

impl Digester {
    pub(crate) fn new() -> Self {
        Self {
            hash: Xxh3Default::new(),
            entries: 0,
        }
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        let (key, value) = (entry.key.as_ref(), entry.value.as_ref());
        // With their lengths, so that no two lists of entries are the same bytes.
        self.hash.update(&(key.len() as u32).to_be_bytes());
        self.hash.update(key);
        self.hash.update(&entry.version.as_u64().to_be_bytes());
        self.hash.update(&(value.len() as u32).to_be_bytes());
        self.hash.update(value);
        self.entries += 1;
    }

    pub(crate) fn finish(&self) -> Digest {
        Digest {
            sum: self.hash.digest128(),
            entries: self.entries,
        }
    }
}

/// The digest of these entries.
pub(crate) fn of(entries: &[Entry]) -> Digest {
    let mut digester = Digester::new();
    for entry in entries {
        digester.add(entry);
    }
    digester.finish()
}

#[cfg(test)]
mod tests {
    use mainstay_store::{Key, Value, Version};
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (
            proptest::collection::vec(0_u8..3, 1..3),
            proptest::collection::vec(0_u8..3, 0..3),
            0_u64..3,
        );
        let entry = entry.prop_map(|(key, value, version)| Entry {
            key: Key::new(key).unwrap(),
            value: Value::new(value).unwrap(),
            version: Version::from_u64(version),
        });
        proptest::collection::vec(entry, 0..4)
    }

    proptest! {
        #[test]
        fn it_tells_apart_what_differs(one in entries(), other in entries()) {
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }
}
