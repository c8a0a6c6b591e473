//! What a hit in this process costs, on one thread and on two: `cargo run --release -p mainstay-cache --example hit_path`.
//!
//! Prints the mean time of a look at one of 1,000 answers of 256 bytes: by its key alone, and as a call needs it, from the
//! head of the request to the answer with its headers. A developer's instrument.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an instrument on a terminal"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mainstay_base::SystemClock;
use mainstay_cache::http::{Plan, Rules, Stored};
use mainstay_cache::{Cache, Cached, Declaration, Loaded, Local, LocalOptions, Metrics, Options, Settings};
use tokio::runtime::Builder;

const KEYS: usize = 1_000;
const ROUNDS: usize = 2_000_000;

#[derive(Clone)]
struct Edge {
    answers: Cache<Stored, Infallible>,
    rules: Arc<Rules>,
}

fn main() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let edge = Edge::new(runtime.handle());
    let head = |index| {
        let request = Request::get(format!("/items/{index}?page=1"));
        request.body(()).unwrap()
    };
    let heads: Vec<Request<()>> = (0..KEYS).map(head).collect();
    let keys: Vec<String> = heads.iter().map(|head| edge.plan(head).key).collect();
    runtime.block_on(async {
        for key in &keys {
            edge.get(key).await;
        }
    });
    for threads in [1, 2] {
        report("by key", threads, async |round| {
            black_box(edge.get(&keys[round % KEYS]).await);
        });
        report("as a call", threads, async |round| {
            let request = edge.plan(&heads[round % KEYS]);
            let cached = edge.get(&request.key).await;
            black_box(request.answer(cached));
        });
    }
}

impl Edge {
    fn new(runtime: &tokio::runtime::Handle) -> Self {
        let clock = Arc::new(SystemClock::new());
        let settings = Settings::new(&Declaration {
            ttl: Duration::from_secs(3_600),
            ..Declaration::default()
        })
        .unwrap();
        let store = Local::new(LocalOptions {
            max_bytes: settings.max_bytes(),
            weigh: Stored::weigh,
            clock: clock.clone(),
        });
        Self {
            rules: Arc::new(Rules::new("catalog", &settings)),
            answers: Cache::new(Options {
                name: "example".to_owned(),
                settings,
                store: Arc::new(store),
                clock,
                runtime: runtime.clone(),
                load_timeout: Duration::from_secs(1),
                max_loads: 1_024,
                max_refreshes: 16,
                metrics: Metrics::default(),
            }),
        }
    }

    fn plan(&self, head: &Request<()>) -> mainstay_cache::http::Request {
        match self.rules.plan(head) {
            Plan::Cached(request) => request,
            Plan::Pass(reason) => unreachable!("{reason:?}"),
        }
    }

    async fn get(&self, key: &str) -> Cached<Stored> {
        let rules = self.rules.clone();
        let loader = move || async move {
            let response = Response::builder()
                .header("content-type", "application/json")
                .header("etag", "\"1\"")
                .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
                .header("content-length", "256")
                .body(Full::new(Bytes::from_static(&[7; 256])));
            match rules.take(response.unwrap()).await?.0 {
                Loaded::Value(stored, lifetime) => Ok(Loaded::<_, Infallible>::Value(stored, lifetime)),
                other => unreachable!("{other:?}"),
            }
        };
        self.answers.get_or_load(key, loader).await.unwrap().shared()
    }
}

/// Runs all rounds on each thread, and prints what one took.
fn report(what: &str, threads: usize, round: impl AsyncFn(usize) + Sync) {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let round = &round;
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for index in 0..ROUNDS {
                        round(index * 7 + thread).await;
                    }
                });
            });
        }
    });
    let mean = started.elapsed() / u32::try_from(ROUNDS).unwrap();
    println!("{what}, {threads} thread(s): {} ns", mean.as_nanos());
}
