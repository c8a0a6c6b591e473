//! What several tests need.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::ManualClock;
use mainstay_base::metric::{Collect, Descriptor, Histogram, Visitor};
use mainstay_cache::{
    Answer, Cache, CacheError, CacheStore, Cached, Declaration, Loaded, Metrics, Options, Settings,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::local::local;

pub(crate) const TTL: Duration = Duration::from_secs(100);
pub(crate) const STALE: Duration = Duration::from_secs(300);
pub(crate) const NEGATIVE: Duration = Duration::from_secs(5);

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Texts = Cache<Bytes, &'static str>;
pub(crate) type Outcome<P = std::convert::Infallible> = Result<Answer<Bytes, P>, CacheError<&'static str>>;

/// A load under way.
type Load<P> = std::pin::Pin<Box<dyn Future<Output = Result<Loaded<Bytes, P>, &'static str>> + Send>>;

/// A cache with a clock that is moved by hand.
pub(crate) struct World {
    pub(crate) cache: Texts,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Metrics,
    pub(crate) loads: Arc<AtomicUsize>,
}

pub(crate) fn settings() -> Settings {
    let declared = Declaration {
        ttl: TTL,
        stale: Some(STALE),
        negative: Some(NEGATIVE),
        ..Declaration::default()
    };
    Settings::new(&declared).unwrap()
}

pub(crate) fn options(store: Arc<dyn CacheStore<Bytes>>, clock: Arc<ManualClock>) -> Options<Bytes> {
    Options {
        name: "test".to_owned(),
        settings: settings(),
        store,
        clock,
        runtime: Handle::current(),
        load_timeout: PATIENCE,
        max_loads: 100,
        max_refreshes: 2,
        metrics: Metrics::default(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options<Bytes>)) -> Self {
        let clock = Arc::new(ManualClock::new());
        let store = Arc::new(local(1 << 20, clock.clone()));
        let mut options = options(store, clock.clone());
        change(&mut options);
        Self {
            metrics: options.metrics.clone(),
            cache: Cache::new(options),
            clock,
            loads: Arc::default(),
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// How often a loader of [`World::loader`] was called.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// A loader that is counted and gives `loaded` when the gate lets it through.
    pub(crate) fn loader<P: Send + 'static>(
        &self,
        gate: &Gate,
        loaded: Result<Loaded<Bytes, P>, &'static str>,
    ) -> impl FnOnce() -> Load<P> + Send + use<P> {
        let (loads, gate) = (self.loads.clone(), gate.clone());
        move || {
            loads.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                gate.pass().await;
                loaded
            })
        }
    }

    pub(crate) async fn get(&self, key: &str, loaded: Result<Loaded<Bytes>, &'static str>) -> Outcome {
        self.cache
            .get_or_load(key, self.loader(&Gate::open(), loaded))
            .await
    }

    /// Gets what must be there without a load.
    pub(crate) async fn cached(&self, key: &str) -> Cached<Bytes> {
        let loads = self.loads();
        let cached = self.get(key, Err("was not cached")).await.unwrap().shared();
        assert_eq!(self.loads(), loads);
        cached
    }

    /// The value of a metric, with its labels after the cache's name.
    pub(crate) fn metric(&self, name: &str, label: Option<&str>) -> u64 {
        metric(&self.metrics, name, label)
    }
}

pub(crate) fn metric(metrics: &Metrics, name: &str, label: Option<&str>) -> u64 {
    struct Find<'a>(&'a str, Option<&'a str>, Option<u64>);
    impl Visitor for Find<'_> {
        fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
            assert_eq!(labels.len(), descriptor.labels.len());
            if descriptor.name == self.0 && labels.get(1).copied() == self.1 {
                self.2 = Some(value as u64);
            }
        }
        fn histogram(&mut self, descriptor: &'static Descriptor, _: &[&str], histogram: &Histogram) {
            if descriptor.name == self.0 {
                self.2 = Some(histogram.counts().iter().sum());
            }
        }
    }
    let mut find = Find(name, label, None);
    metrics.collect(&mut find);
    find.2.unwrap_or_else(|| panic!("no metric {name} {label:?}"))
}

/// A value that is good for the declared time.
#[expect(clippy::unnecessary_wraps, reason = "as a loader gives it")]
pub(crate) fn found<P>(text: &'static str) -> Result<Loaded<Bytes, P>, &'static str> {
    Ok(Loaded::Value(Bytes::from(text), settings().found()))
}

pub(crate) fn value(outcome: Outcome) -> Bytes {
    outcome.unwrap().shared().value
}

/// Lets loaders through.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn open() -> Self {
        Self(Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
    }

    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_through(&self, loads: usize) {
        self.0.add_permits(loads);
    }
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "it has not happened");
}
