//! A read-through cache for calls and for state: what was loaded once is given again for a declared time.
//!
//! ```text
//!   get_or_load(key, loader)
//!        │
//!      Cache ── policy: fresh, due for a refresh, stale, gone        pure
//!        │  ├── flights: one load per key at a time, shared by all who wait
//!        │  └── marks: what cannot be shared, what failed a moment ago
//!        │
//!   CacheStore (port) ──── one conformance suite for both
//!        ├── Local        moka, in this process
//!        └── RedisStore   shared by processes; gone, it only costs its benefit
//! ```
//!
//! [`http`] says which requests and answers of calls may be cached; [`state`] stands before a state component. What a store
//! promises is said at [`CacheStore`].

mod cache;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod generation;
pub mod http;
mod local;
mod metrics;
pub mod policy;
mod port;
mod redis;
mod settings;
pub mod state;

pub use cache::{Answer, Cache, Cached, Loaded, Options, Report};
pub use error::{CacheError, StoreError};
pub use local::{Local, LocalOptions};
pub use metrics::{METRIC_TABLE, Metrics};
pub use policy::Lifetime;
pub use port::{CacheStore, Entry, Fence, Lookup, Selection, Usage};
pub use redis::{InvalidUrl, Redis, RedisOptions, RedisStore};
pub use settings::{Declaration, InvalidSetting, Settings};
