//! The JSON of caches.

use serde::{Deserialize, Serialize};

/// `GET /api/caches`: every cache of this process, in the order of their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caches {
    /// The caches.
    pub caches: Vec<Cache>,
}

/// A cache: what was declared, and what it has done since the start. `POST /api/caches/NAME/invalidate?key=&prefix=&app=` makes
/// it forget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// `storefront->catalog` for the calls of an edge, `statestore` for a state component.
    pub name: String,
    /// What it keeps.
    pub kind: CacheKind,
    /// How long something is given again without asking.
    pub ttl_ms: u64,
    /// How long after that it is given when there is nothing better.
    pub stale_ms: u64,
    /// The share of the answers that came from it, from 0 to 1; absent while there are none.
    pub hit_ratio: Option<f64>,
    /// Fresh answers from it.
    pub hits: u64,
    /// Expired answers from it.
    pub stale: u64,
    /// Answers that were loaded.
    pub misses: u64,
    /// What was none of its business: calls that change something, strong reads.
    pub passed: u64,
    /// Loads that failed or took too long.
    pub load_failures: u64,
    /// How often something was invalidated.
    pub invalidations: u64,
    /// How often its own store failed.
    pub store_errors: u64,
    /// What it holds in this process; absent where it lies on a Redis.
    pub entries: Option<u64>,
    /// The room that takes.
    pub bytes: Option<u64>,
    /// The room it may take; absent where it lies on a Redis.
    pub max_bytes: Option<u64>,
    /// What had to go for others; absent where it lies on a Redis.
    pub evictions: Option<u64>,
}

/// What a cache keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKind {
    /// Answers of calls.
    Calls,
    /// Values of a state component.
    State,
}
