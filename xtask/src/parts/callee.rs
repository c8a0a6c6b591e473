//! A service with a fixed capacity and no protection of its own: it queues everything, and it finishes what it has
//! begun even when nobody waits for the answer any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

/// How much it can do.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Requests it works on at a time.
    #[arg(long)]
    workers: usize,
    /// Shortest time that a request takes, in milliseconds.
    #[arg(long)]
    service_ms: u64,
    /// Added to it at random, evenly from 0 up to this, in milliseconds.
    #[arg(long)]
    jitter_ms: u64,
}

struct Callee {
    options: Options,
    workers: Semaphore,
    done: AtomicU64,
}

pub(super) async fn serve(options: Options) -> Result<()> {
    let workers = Semaphore::new(options.workers);
    let callee = Arc::new(Callee {
        options,
        workers,
        done: AtomicU64::new(0),
    });
    super::server::serve(move |request| answer(request, Arc::clone(&callee))).await
}

async fn answer(request: Request<Incoming>, callee: Arc<Callee>) -> Response<Full<Bytes>> {
    let body = match request.uri().path() {
        "/health" => Bytes::new(),
        "/done" => callee.done.load(Ordering::Relaxed).to_string().into(),
        _ => {
            // A task of its own, so that the work goes on when the connection is closed.
            let _ = tokio::spawn(work(callee)).await;
            Bytes::from_static(b"done")
        }
    };
    Response::new(Full::new(body))
}

async fn work(callee: Arc<Callee>) {
    let Ok(_worker) = callee.workers.acquire().await else {
        return;
    };
    let jitter = fastrand::u64(0..=callee.options.jitter_ms * 1_000);
    tokio::time::sleep(Duration::from_millis(callee.options.service_ms) + Duration::from_micros(jitter))
        .await;
    callee.done.fetch_add(1, Ordering::Relaxed);
}
