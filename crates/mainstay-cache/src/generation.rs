//! Which invalidations a load may have missed.
//!
//! Keys fall into shards, and each shard has a number that every invalidation in it raises. A load notes the number before
//! it begins; what it brings may be stored only while the number is the same. Keys that share a shard cost each other
//! nothing but a load now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::port::Selection;

const SHARDS: usize = 256;

/// The numbers of all shards.
#[derive(Debug)]
pub(crate) struct Generations(Box<[Shard]>);

#[derive(Debug, Default)]
struct Shard {
    number: AtomicU64,
    /// Held while something is stored or invalidated, never while something is read.
    changing: Mutex<()>,
}

impl Default for Generations {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl Generations {
    fn shard(&self, key: &str) -> Option<&Shard> {
        self.0.get(xxh3_64(key.as_bytes()) as usize % SHARDS)
    }

    /// The number of the shard of `key`.
    pub(crate) fn of(&self, key: &str) -> u64 {
        self.shard(key)
            .map_or(0, |shard| shard.number.load(Ordering::Acquire))
    }

    /// Runs `store` if nothing was invalidated in the shard of `key` since it had this `number`; nothing will be until
    /// `store` has ended. Says whether it did.
    pub(crate) fn store_if(&self, key: &str, number: u64, store: impl FnOnce()) -> bool {
        let Some(shard) = self.shard(key) else {
            return false;
        };
        let _changing = shard.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = shard.number.load(Ordering::Acquire) == number;
        if is_same {
            store();
        }
        is_same
    }

    /// Keeps every load that has begun, and may bring what is selected, from storing it. What is stored before this
    /// returns can be seen by whoever removes it afterwards.
    pub(crate) fn raise(&self, selection: &Selection) {
        match selection {
            Selection::Key(key) => self.shard(key).into_iter().for_each(Shard::raise),
            Selection::Prefix(_) | Selection::All => self.0.iter().for_each(Shard::raise),
        }
    }
}

impl Shard {
    fn raise(&self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.number.fetch_add(1, Ordering::AcqRel);
    }
}
