//! The store on a Redis server, shared by processes.
//!
//! ```text
//!   {namespace}:{cache}:e:{key}   an entry (see codec), which the server drops when it expires
//!   {namespace}:{cache}:g         a hash of random numbers that stand for what was invalidated:
//!                                 b0..b1023 (keys by their hash), prefix, all
//! ```
//!
//! A look reads the entry, how long the server will keep it, and the three numbers that cover its key, at one moment. The
//! age of an entry is what has passed of its life by the server's clock, so the clocks of the processes do not matter. A put
//! names the numbers of its look, and the server stores nothing when one has changed meanwhile. Everything is forgotten
//! by a new `all`, which entries carry too; old ones expire by themselves.
//!
//! It is for one server or the primary of several. A server that fails over without its last writes may give back what
//! was invalidated just before, until it expires.

mod link;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::Reply;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Codec, Envelope, whole_millis};
use crate::error::StoreError;
use crate::generation::Generations;
use crate::port::{CacheStore, Entry, Fence, Lookup, Selection, Usage};

pub use server::{InvalidUrl, Redis, RedisOptions};

/// Shards of keys for invalidation.
const BUCKETS: u64 = 1_024;

/// Largest entry: what an answer or a value may be, and its headers.
const MAX_ENTRY_BYTES: usize = 8 * 1_024 * 1_024;

/// Stores an entry unless a number has changed. Sets the first `all`, because after the loss of the hash nothing may be found
/// that was invalidated before.
const PUT: &str = r"
    local numbers = redis.call('HMGET', KEYS[2], ARGV[1], 'prefix', 'all')
    for i = 1, 3 do
        if (numbers[i] or '0') ~= ARGV[i + 1] then return 0 end
    end
    if not numbers[3] then redis.call('HSET', KEYS[2], 'all', ARGV[5]) end
    redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7])
    return 1";

/// A cache's values on a server.
pub struct RedisStore<V> {
    server: Arc<Redis>,
    names: Arc<Names>,
    codec: Arc<dyn Codec<V>>,
    /// What this process invalidated, which counts even while the server is away.
    generations: Generations,
}

/// How the keys of one cache begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    entries: String,
    numbers: String,
}

/// The answer to a look: the entry, how long it stays in milliseconds, and the numbers that cover its key.
type Found = (Option<Bytes>, i64, Vec<Option<u64>>);

impl Names {
    fn new(namespace: &str, cache: &str) -> Self {
        // A colon ends a part, so none may have one inside.
        let part = |text: &str| text.replace('%', "%25").replace(':', "%3A");
        let start = format!("{}:{}", part(namespace), part(cache));
        Self {
            entries: format!("{start}:e:"),
            numbers: format!("{start}:g"),
        }
    }

    fn entry(&self, key: &str) -> String {
        format!("{}{key}", self.entries)
    }
}

impl<V: 'static> RedisStore<V> {
    /// The values of the cache called `cache`.
    pub fn new(server: Arc<Redis>, cache: &str, codec: impl Codec<V>) -> Self {
        Self {
            names: Arc::new(Names::new(server.namespace(), cache)),
            server,
            codec: Arc::new(codec),
            generations: Generations::default(),
        }
    }

    async fn look(&self, key: &str) -> Lookup<V> {
        let local = self.generations.of(key);
        let (found, kept_ms, numbers) = match self.read(key).await {
            Ok(found) => found,
            Err(error) => {
                return Lookup {
                    entry: None,
                    fence: Fence([local, 0, 0, 0]),
                    failure: Some(error),
                };
            }
        };
        let number = |index: usize| numbers.get(index).copied().flatten().unwrap_or(0);
        let fence = Fence([local, number(0), number(1), number(2)]);
        let envelope = found.map(|found| Envelope::decode(key, found, &*self.codec));
        let (envelope, failure) = match envelope.transpose() {
            Ok(envelope) => (envelope.flatten(), None),
            Err(error) => (None, Some(error)),
        };
        Lookup {
            entry: envelope.and_then(|envelope| envelope.open(kept_ms, number(2))),
            fence,
            failure,
        }
    }

    async fn read(&self, key: &str) -> Result<Found, StoreError> {
        let name = self.names.entry(key);
        let mut pipeline = ::redis::pipe();
        pipeline.atomic();
        pipeline.cmd("GET").arg(&name).cmd("PTTL").arg(&name);
        let numbers = pipeline.cmd("HMGET").arg(&self.names.numbers);
        numbers.arg(bucket(key)).arg("prefix").arg("all");
        self.server.query(&pipeline).await
    }

    async fn store(&self, key: &str, entry: Entry<V>, fence: Fence) -> Result<bool, StoreError> {
        let Fence([local, of_bucket, of_prefix, of_all]) = fence;
        let left = entry.lifetime.total().saturating_sub(entry.age);
        if self.generations.of(key) != local || left < Duration::from_millis(1) {
            return Ok(false);
        }
        let new_all = fastrand::u64(1..);
        let envelope = Envelope {
            value: entry.value,
            lifetime: entry.lifetime,
            salt: entry.salt,
            epoch: if of_all == 0 { new_all } else { of_all },
        };
        let written = envelope.encode(key, &*self.codec);
        if written.len() > MAX_ENTRY_BYTES {
            return Err(StoreError::TooLarge(written.len()));
        }
        let mut pipeline = ::redis::pipe();
        let put = pipeline.cmd("EVAL").arg(PUT).arg(2);
        put.arg(self.names.entry(key)).arg(&self.names.numbers);
        put.arg(bucket(key)).arg(of_bucket).arg(of_prefix).arg(of_all);
        put.arg(new_all).arg(written).arg(whole_millis(left));
        let (stored,): (u8,) = self.server.query(&pipeline).await?;
        Ok(stored == 1)
    }
}

impl<V> Envelope<V> {
    /// The entry, which the server keeps for so long; `None` when it is not to be seen any more.
    fn open(self, kept_ms: i64, epoch: u64) -> Option<Entry<V>> {
        let left = Duration::from_millis(u64::try_from(kept_ms).ok()?);
        let age = self.lifetime.total().saturating_sub(left);
        (self.epoch == epoch && !left.is_zero()).then_some(Entry {
            value: self.value,
            lifetime: self.lifetime,
            age,
            salt: self.salt,
        })
    }
}

/// The field of the number that covers a key.
fn bucket(key: &str) -> String {
    format!("b{}", xxh3_64(key.as_bytes()) % BUCKETS)
}

impl<V: Send + Sync + 'static> CacheStore<V> for RedisStore<V> {
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Lookup<V>> {
        Reply::waiting(self.look(key))
    }

    fn put<'a>(&'a self, key: &'a str, entry: Entry<V>, fence: Fence) -> Reply<'a, Result<bool, StoreError>> {
        Reply::waiting(self.store(key, entry, fence))
    }

    fn invalidate<'a>(&'a self, selection: &'a Selection) -> Reply<'a, Result<(), StoreError>> {
        self.generations.raise(selection);
        Reply::waiting(self.server.invalidate(self.names.clone(), selection.clone()))
    }

    /// The server's room is shared, and bounded by its own `maxmemory`.
    fn usage(&self) -> Option<Usage> {
        None
    }
}

impl<V> fmt::Debug for RedisStore<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisStore")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
