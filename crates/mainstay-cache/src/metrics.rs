//! What caches count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mainstay_base::CacheStatus;
use mainstay_base::metric::{Collect, Counter, Descriptor, Histogram, Kind, Visitor};

use crate::cache::Purpose;
use crate::http::Unstorable;
use crate::port::Usage;

macro_rules! descriptors {
    ($($name:ident = $kind:ident $metric:literal [$($label:literal),*] $help:literal;)*) => {
        $(static $name: Descriptor = Descriptor {
            name: $metric,
            help: $help,
            kind: Kind::$kind,
            labels: &[$($label),*],
        };)*
        /// Every metric of the caches.
        pub static METRIC_TABLE: &[&Descriptor] = &[$(&$name),*];
    };
}

descriptors! {
    ANSWERS = Counter "mainstay_cache_answers_total" ["cache", "result"]
        "Answers by where they came from: hit, refresh (a hit that began a load in the background), stale, miss, private, bypass.";
    AGE = Histogram "mainstay_cache_answer_age_seconds" ["cache"]
        "Age of the answers that came from the cache.";
    LOADS = Counter "mainstay_cache_loads_total" ["cache", "cause"]
        "Loads by what they were for: a miss, a reload that a client asked for, a refresh ahead of the expiry.";
    LOAD_FAILURES = Counter "mainstay_cache_load_failures_total" ["cache"]
        "Loads that failed or took too long.";
    DISCARDED = Counter "mainstay_cache_discarded_loads_total" ["cache"]
        "Loaded values that were not stored, because something was invalidated meanwhile.";
    UNSTORABLE = Counter "mainstay_cache_unstorable_total" ["cache", "reason"]
        "Answers to calls that may not be stored, by reason.";
    INVALIDATIONS = Counter "mainstay_cache_invalidations_total" ["cache"]
        "Invalidations of a key, of a prefix or of everything.";
    STORE_ERRORS = Counter "mainstay_cache_store_errors_total" ["cache"]
        "Times that the cache's own store failed; the value was loaded instead.";
    EVICTIONS = Counter "mainstay_cache_evictions_total" ["cache"]
        "Values that made room for others.";
    ENTRIES = Gauge "mainstay_cache_entries" ["cache"]
        "Values in the cache of this process.";
    BYTES = Gauge "mainstay_cache_bytes" ["cache"]
        "Room that the values in this process take, with their keys.";
}

/// What one cache counts.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) answers: [Counter; CacheStatus::ALL.len()],
    pub(crate) private: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) age: Histogram,
    misses: Counter,
    reloads: Counter,
    refreshes: Counter,
    pub(crate) load_failures: Counter,
    pub(crate) discarded: Counter,
    unstorable: [Counter; Unstorable::ALL.len()],
    pub(crate) invalidations: Counter,
    pub(crate) store_errors: Counter,
}

impl Stats {
    pub(crate) fn answered(&self, status: CacheStatus, age: Duration) {
        if let Some(counter) = self.answers.get(status as usize) {
            counter.increment();
        }
        if status != CacheStatus::Miss {
            self.age.record(age);
        }
    }

    pub(crate) const fn loads(&self, purpose: Purpose) -> &Counter {
        match purpose {
            Purpose::Miss => &self.misses,
            Purpose::Reload => &self.reloads,
            Purpose::Refresh => &self.refreshes,
        }
    }

    pub(crate) fn unstorable(&self, reason: Unstorable) {
        if let Some(counter) = self.unstorable.get(reason as usize) {
            counter.increment();
        }
    }
}

/// A cache whose figures can be read.
pub(crate) trait Source: Send + Sync {
    fn name(&self) -> &str;
    fn stats(&self) -> &Stats;
    fn usage(&self) -> Option<Usage>;
}

/// What all caches count: made once, given to each of them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Vec<Weak<dyn Source>>>>);

impl Metrics {
    /// Shows a cache for as long as it lives.
    pub(crate) fn add(&self, source: Weak<dyn Source>) {
        self.lock().push(source);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Source>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        let mut sources = self.lock();
        sources.retain(|source| source.strong_count() > 0);
        sources.iter().filter_map(Weak::upgrade).collect()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collect for Metrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        let sources = self.sources();
        for source in &sources {
            for status in CacheStatus::ALL {
                let count = source
                    .stats()
                    .answers
                    .get(status as usize)
                    .map_or(0, Counter::get);
                visitor.value(&ANSWERS, &[source.name(), status.as_str()], count as f64);
            }
            let (private, bypassed) = (&source.stats().private, &source.stats().bypassed);
            visitor.value(&ANSWERS, &[source.name(), "private"], private.get() as f64);
            visitor.value(&ANSWERS, &[source.name(), "bypass"], bypassed.get() as f64);
        }
        for source in &sources {
            visitor.histogram(&AGE, &[source.name()], &source.stats().age);
        }
        for source in &sources {
            for purpose in [Purpose::Miss, Purpose::Reload, Purpose::Refresh] {
                let count = source.stats().loads(purpose).get();
                visitor.value(&LOADS, &[source.name(), purpose.as_str()], count as f64);
            }
        }
        let mut per_cache = |descriptor, counter: fn(&Stats) -> &Counter| {
            for source in &sources {
                let count = counter(source.stats()).get();
                visitor.value(descriptor, &[source.name()], count as f64);
            }
        };
        per_cache(&LOAD_FAILURES, |stats| &stats.load_failures);
        per_cache(&DISCARDED, |stats| &stats.discarded);
        per_cache(&INVALIDATIONS, |stats| &stats.invalidations);
        per_cache(&STORE_ERRORS, |stats| &stats.store_errors);
        for source in &sources {
            for (reason, counter) in Unstorable::ALL.iter().zip(&source.stats().unstorable) {
                let labels = [source.name(), reason.as_str()];
                visitor.value(&UNSTORABLE, &labels, counter.get() as f64);
            }
        }
        collect_usage(&sources, visitor);
    }
}

fn collect_usage(sources: &[Arc<dyn Source>], visitor: &mut dyn Visitor) {
    let usages: Vec<_> = sources
        .iter()
        .filter_map(|source| Some((source.name(), source.usage()?)))
        .collect();
    let mut per_usage = |descriptor, figure: fn(&Usage) -> u64| {
        for (name, usage) in &usages {
            visitor.value(descriptor, &[name], figure(usage) as f64);
        }
    };
    per_usage(&EVICTIONS, |usage| usage.evictions);
    per_usage(&ENTRIES, |usage| usage.entries);
    per_usage(&BYTES, |usage| usage.bytes);
}
