//! How a cache does, for who operates a system.

use mainstay_base::CacheStatus;
use mainstay_base::metric::Counter;

use super::Cache;
use crate::port::Usage;

/// What a cache has done since the start, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Fresh answers from the cache, those included that began a load in the background.
    pub hits: u64,
    /// Expired answers from the cache, because they could not be loaded.
    pub stale: u64,
    /// Answers that were loaded.
    pub misses: u64,
    /// Questions that were none of the cache's business, and answers for one caller alone.
    pub passed: u64,
    /// Loads that failed or took too long.
    pub load_failures: u64,
    /// Invalidations of a key, of a prefix or of everything.
    pub invalidations: u64,
    /// Times that the cache's own store failed.
    pub store_errors: u64,
    /// What it holds, where that is known: in this process.
    pub usage: Option<Usage>,
}

impl Report {
    /// The share of the answers that came from the cache, from 0 to 1; `None` while there are none.
    pub fn hit_ratio(&self) -> Option<f64> {
        let cached = self.hits + self.stale;
        let all = cached + self.misses;
        (all > 0).then(|| cached as f64 / all as f64)
    }
}

impl<V: 'static, E> Cache<V, E> {
    /// How it does.
    pub fn report(&self) -> Report {
        let stats = &self.inner.stats;
        let answers = |status: CacheStatus| stats.answers.get(status as usize).map_or(0, Counter::get);
        Report {
            hits: answers(CacheStatus::Hit) + answers(CacheStatus::Refresh),
            stale: answers(CacheStatus::Stale),
            misses: answers(CacheStatus::Miss),
            passed: stats.bypassed.get() + stats.private.get(),
            load_failures: stats.load_failures.get(),
            invalidations: stats.invalidations.get(),
            store_errors: stats.store_errors.get(),
            usage: self.inner.store.usage(),
        }
    }

    /// Its name in metrics.
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_what_could_have_been_cached() {
        let mut report = Report {
            passed: 7,
            ..Report::default()
        };
        assert_eq!(report.hit_ratio(), None);
        (report.hits, report.stale, report.misses) = (2, 1, 1);
        assert_eq!(report.hit_ratio(), Some(0.75));
    }
}
