//! What is remembered of keys without a value, for a short time and for a bounded number of them.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use moka::sync::Cache;

/// After a load has failed, what is stale is given for so long without another attempt: a callee that is down must not
/// cost every caller the wait for it.
pub(crate) const FAILURE_HOLD: Duration = Duration::from_secs(1);

/// For so long after a failure, what is stale is given while the next attempt is made in the background.
pub(crate) const SUSPICION: Duration = Duration::from_secs(30);

/// For so long, callers of a key whose answers are private do not wait for each other (Varnish calls it hit-for-miss, and
/// takes this time too).
pub(crate) const PRIVATE_HOLD: Duration = Duration::from_secs(120);

/// The most keys with a mark.
const MAX_MARKS: u64 = 16_384;

/// What is remembered of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A load failed just now.
    Failed,
    /// A load failed not long ago, and none has succeeded since.
    Suspect,
    /// Its last answer was for one caller alone.
    Private,
}

#[derive(Debug)]
pub(crate) struct Marks(Cache<Arc<str>, Made>);

#[derive(Clone, Copy, Debug)]
struct Made {
    is_private: bool,
    at: Timestamp,
}

impl Default for Marks {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_MARKS).build())
    }
}

impl Marks {
    /// The mark of `key` at `now`.
    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Option<Mark> {
        let made = self.0.get(key)?;
        let age = now.since(made.at);
        if made.is_private {
            (age < PRIVATE_HOLD).then_some(Mark::Private)
        } else if age < FAILURE_HOLD {
            Some(Mark::Failed)
        } else {
            (age < SUSPICION).then_some(Mark::Suspect)
        }
    }

    /// The answer that came just now was for one caller alone.
    pub(crate) fn set_private(&self, key: &str, now: Timestamp) {
        self.set(key, true, now);
    }

    /// A load failed just now.
    pub(crate) fn set_failed(&self, key: &str, now: Timestamp) {
        self.set(key, false, now);
    }

    fn set(&self, key: &str, is_private: bool, at: Timestamp) {
        self.0.insert(Arc::from(key), Made { is_private, at });
    }

    /// A load has succeeded.
    pub(crate) fn clear(&self, key: &str) {
        if self.0.contains_key(key) {
            self.0.invalidate(key);
        }
    }
}
