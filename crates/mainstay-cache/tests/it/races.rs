//! Loads, refreshes and invalidations at once, on several runtimes: who asks after an invalidation gets nothing older.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::SystemClock;
use mainstay_cache::{
    Cache, CacheError, CacheStore, Declaration, Loaded, Local, LocalOptions, Metrics, Options, RedisStore,
    Selection, Settings, codec,
};
use tokio::runtime::Handle;

use crate::redis::server::Server;

type Numbers = Cache<Bytes, &'static str>;

/// Values are refreshed nearly always, and live for a moment only, so that all ways are taken.
fn settings() -> Settings {
    let declared = Declaration {
        ttl: Duration::from_millis(20),
        stale: Some(Duration::from_millis(200)),
        refresh_percent: Some(10),
        ..Declaration::default()
    };
    Settings::new(&declared).unwrap()
}

fn cache(store: Arc<dyn CacheStore<Bytes>>) -> Numbers {
    Cache::new(Options {
        name: "numbers".to_owned(),
        settings: settings(),
        store,
        clock: Arc::new(SystemClock::new()),
        runtime: Handle::current(),
        load_timeout: Duration::from_secs(5),
        max_loads: 4,
        max_refreshes: 4,
        metrics: Metrics::default(),
    })
}

/// What is cached: a number that only grows, of which a part of the looks fail.
#[derive(Default)]
struct Source {
    number: AtomicU64,
    /// The largest number whose invalidation has ended.
    settled: AtomicU64,
}

async fn read(source: Arc<Source>, luck: u8) -> Result<Loaded<Bytes>, &'static str> {
    let number = source.number.load(Ordering::SeqCst);
    for _ in 0..luck % 5 {
        tokio::task::yield_now().await;
    }
    match luck {
        0..=20 => Err("bad luck"),
        21..=30 => Ok(Loaded::Failure(Bytes::copy_from_slice(&u64::MAX.to_le_bytes()))),
        _ => Ok(Loaded::Value(
            Bytes::copy_from_slice(&number.to_le_bytes()),
            settings().found(),
        )),
    }
}

async fn ask(cache: Numbers, source: Arc<Source>, rounds: usize) {
    for _ in 0..rounds {
        let settled = source.settled.load(Ordering::SeqCst);
        let (from, luck) = (source.clone(), fastrand::u8(..));
        let outcome = match luck % 16 {
            0 => cache.reload("a", move || read(from, luck)).await,
            _ => cache.get_or_load("a", move || read(from, luck)).await,
        };
        match outcome {
            Ok(answer) => {
                let answer = answer.shared();
                let number = u64::from_le_bytes(answer.value.as_ref().try_into().unwrap());
                assert!(
                    number >= settled,
                    "{number} after {settled} was settled: {:?}",
                    answer.status
                );
            }
            Err(error) => assert_eq!(error, CacheError::Load("bad luck")),
        }
    }
}

async fn change(cache: Numbers, source: Arc<Source>, rounds: usize) {
    for round in 0..rounds {
        let number = source.number.fetch_add(1, Ordering::SeqCst) + 1;
        let selection = match round % 8 {
            0 => Selection::Prefix(String::new()),
            1 => Selection::All,
            _ => Selection::Key("a".to_owned()),
        };
        cache.invalidate(selection).await.unwrap();
        source.settled.fetch_max(number, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// Each of the caches is used from two runtimes of its own, as the workers of the data plane do.
fn race(caches: &[Numbers], rounds: usize) {
    let source = Arc::new(Source::default());
    let threads: Vec<_> = caches
        .iter()
        .chain(caches)
        .map(|cache| {
            let (cache, source) = (cache.clone(), source.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for _ in 0..4 {
                        tasks.spawn(ask(cache.clone(), source.clone(), rounds));
                    }
                    tasks.spawn(change(cache.clone(), source.clone(), rounds / 4));
                    while let Some(ended) = tasks.join_next().await {
                        ended.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_this_process() {
    let store = Arc::new(Local::new(LocalOptions {
        max_bytes: 1 << 20,
        weigh: Bytes::len,
        clock: Arc::new(SystemClock::new()),
    }));
    let caches = [cache(store)];
    tokio::task::spawn_blocking(move || race(&caches, 4_000))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_processes() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    // Each has its own connection and its own loads, as two processes have.
    let mut caches = Vec::new();
    for _ in 0..2 {
        let connection = Arc::new(server.connect().await);
        caches.push(cache(Arc::new(RedisStore::new(
            connection,
            "numbers",
            codec::Raw,
        ))));
    }
    tokio::task::spawn_blocking(move || race(&caches, 400))
        .await
        .unwrap();
}
