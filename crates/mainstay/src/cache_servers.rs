//! The Redis servers of caches: one connection each, for all caches on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_cache::{InvalidUrl, Redis, RedisOptions};
use tokio::runtime::Handle;

/// Opens servers when they are first asked for.
#[derive(Debug)]
pub(crate) struct CacheServers {
    /// Whose caches they are: systems of different names do not meet on a server.
    system: String,
    by_url: Mutex<HashMap<String, Arc<Redis>>>,
}

impl CacheServers {
    pub(crate) fn new(system: &str) -> Self {
        Self {
            system: system.to_owned(),
            by_url: Mutex::default(),
        }
    }

    /// The server behind a URL. It need not be there yet.
    pub(crate) fn get(&self, url: &str) -> Result<Arc<Redis>, InvalidUrl> {
        let mut by_url = self.by_url.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = by_url.get(url) {
            return Ok(Arc::clone(server));
        }
        let options = RedisOptions::new(url, &self.system, Handle::current());
        let server = Arc::new(Redis::open(options)?);
        by_url.insert(url.to_owned(), Arc::clone(&server));
        Ok(server)
    }
}

/// Whether a text is the URL of a Redis, as far as its beginning tells.
pub(crate) fn is_redis(url: &str) -> bool {
    let mut schemes = ["redis://", "rediss://", "redis+unix://"].into_iter();
    schemes.any(|scheme| url.starts_with(scheme))
}
