//! What was written lately, so that a range that nobody touched is known without looking into it.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

use super::space;
use crate::key::KeyRange;
use crate::version::Version;

/// How many writes are remembered: some tenths of a second at full speed, much longer than a transaction should take.
const MAX_WRITES: usize = 16_384;

/// The latest writes.
#[derive(Debug)]
pub(super) struct Recent {
    writes: VecDeque<(Version, Bytes)>,
    /// Writes after this version are all remembered.
    complete_after: Version,
}

impl Recent {
    /// Remembers nothing that happened up to `version`.
    pub(super) fn after(version: Version) -> Self {
        Self {
            writes: VecDeque::with_capacity(MAX_WRITES),
            complete_after: version,
        }
    }

    /// A key of the tree was written, or soon will be.
    pub(super) fn add(&mut self, version: Version, tree_key: Bytes) {
        if self.writes.len() == MAX_WRITES
            && let Some((forgotten, _)) = self.writes.pop_front()
        {
            self.complete_after = forgotten;
        }
        self.writes.push_back((version, tree_key));
    }

    /// Whether certainly nothing in `range` was written after `since`.
    pub(super) fn is_untouched(&self, range: &KeyRange, since: Version) -> bool {
        if since < self.complete_after {
            return false;
        }
        let range: (Bound<Bytes>, Bound<Bytes>) = space::range(range);
        let later = self
            .writes
            .iter()
            .rev()
            .take_while(|(version, _)| *version > since);
        !later.into_iter().any(|(_, key)| range.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_was_not_touched_and_admits_what_it_forgot() {
        let version = Version::from_u64;
        let mut recent = Recent::after(version(10));
        recent.add(version(11), space::data(b"a/1"));
        recent.add(version(12), space::data(b"b/1"));
        let a = KeyRange::prefix("a/");
        assert!(!recent.is_untouched(&a, version(10)));
        assert!(recent.is_untouched(&a, version(11)));
        assert!(recent.is_untouched(&KeyRange::prefix("c/"), version(10)));
        assert!(
            !recent.is_untouched(&KeyRange::prefix("c/"), version(9)),
            "too long ago"
        );
        for number in 0..MAX_WRITES as u64 {
            recent.add(version(13 + number), space::data(b"d"));
        }
        assert!(!recent.is_untouched(&a, version(11)), "forgotten");
        assert!(recent.is_untouched(&a, version(12)));
    }
}
