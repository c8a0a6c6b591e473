//! The port: what every store of cached values promises.

use std::fmt;
use std::time::Duration;

use mainstay_base::Reply;

use crate::error::StoreError;
use crate::policy::Lifetime;

/// A place for cached values. It may lose any of them at any time, and must never give a wrong one.
///
/// # Rules
///
/// 1. **What was put.** What is found MUST be what was put last under that very key, or nothing.
/// 2. **Age.** An entry's age MUST grow with time from what it was when it was put, and MUST NOT depend on the clocks of
///    different machines being equal. An entry as old as its whole lifetime MUST NOT be found.
/// 3. **Invalidated is gone.** When [`CacheStore::invalidate`] has succeeded, what was put before MUST NOT be found, by no
///    process that shares the store.
/// 4. **Fences.** A put with the fence of a look MUST NOT store when something that covers the key was invalidated after
///    that look. Two looks at a key with nothing invalidated in between SHOULD give equal fences, and looks with such an
///    invalidation in between MUST give different ones.
/// 5. **Never in the way.** A store that cannot be reached MUST say so within a bounded time, and soon when it has just said
///    so before.
///
/// # Cancel safety
///
/// Dropping a look has no effect. A put or invalidation that is dropped may be done or not.
pub trait CacheStore<V>: Send + Sync + fmt::Debug + 'static {
    /// Looks for a key.
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Lookup<V>>;

    /// Stores an entry, unless something was invalidated since the look that gave the fence. Says whether it did.
    fn put<'a>(&'a self, key: &'a str, entry: Entry<V>, fence: Fence) -> Reply<'a, Result<bool, StoreError>>;

    /// Forgets what is selected.
    ///
    /// # Errors
    /// When the store could not be reached. It is made up for before this process reads from the store again; others may
    /// find the old values until then.
    fn invalidate<'a>(&'a self, selection: &'a Selection) -> Reply<'a, Result<(), StoreError>>;

    /// What it holds, where it knows.
    fn usage(&self) -> Option<Usage>;
}

/// A value with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<V> {
    /// What was loaded.
    pub value: V,
    /// How long it is good for.
    pub lifetime: Lifetime,
    /// How old it is.
    pub age: Duration,
    /// A random number, so that entries are not refreshed together.
    pub salt: u64,
}

/// The answer to a look.
#[derive(Clone, Debug)]
pub struct Lookup<V> {
    /// What is there.
    pub entry: Option<Entry<V>>,
    /// What has been invalidated so far.
    pub fence: Fence,
    /// Why there may be more than was found.
    pub failure: Option<StoreError>,
}

/// Tells whether something was invalidated between two moments. Only fences of one store compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence(pub [u64; 4]);

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One key.
    Key(String),
    /// Every key that begins so.
    Prefix(String),
    /// Everything.
    All,
}

impl Selection {
    /// Whether `key` is selected.
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::Key(selected) => selected == key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::All => true,
        }
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many values.
    pub entries: u64,
    /// How much room they take, with their keys.
    pub bytes: u64,
    /// How many had to go for others since the start.
    pub evictions: u64,
}
