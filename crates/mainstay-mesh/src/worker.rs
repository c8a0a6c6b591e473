//! One current-thread runtime per core; a connection stays on its worker for life.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

thread_local! {
    /// Which worker this thread is; none outside the data plane.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The threads of the data plane.
#[derive(Clone, Debug)]
pub struct Workers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// Counts as one connection until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let handle = runtime.handle().clone();
            let mut stopped = stopped.clone();
            let thread = std::thread::Builder::new()
                .name(format!("mainstay-mesh-{index}"))
                .spawn(move || {
                    WORKER.set(Some(index));
                    // An error means that the sender is gone, which is as good a reason to end.
                    let _ = runtime.block_on(stopped.wait_for(|stop| *stop));
                    runtime.shutdown_background();
                })?;
            threads.push(thread);
            workers.push(Worker {
                runtime: handle,
                connections: Arc::default(),
            });
        }
        let threads = Mutex::new(threads);
        Ok(Self {
            inner: Arc::new(Inner {
                workers,
                stop,
                threads,
            }),
        })
    }

    /// Runs a connection's task on the worker with the fewest connections: `make` is called on that worker's thread,
    /// inside its runtime. The connection counts as one until the future ends.
    pub fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let least = self
            .inner
            .workers
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        if let Some(worker) = least {
            worker.connections.fetch_add(1, Ordering::Relaxed);
            let counted = Counted(worker.connections.clone());
            worker.runtime.spawn(async move {
                let _counted = counted;
                make().await;
            });
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.workers.len()
    }

    /// The worker that this thread is; the first one for a thread outside the data plane.
    pub(crate) fn current(&self) -> usize {
        WORKER
            .get()
            .filter(|index| *index < self.count())
            .unwrap_or_default()
    }

    /// The runtime of worker `index`.
    pub(crate) fn runtime(&self, index: usize) -> Option<&Handle> {
        self.inner.workers.get(index).map(|worker| &worker.runtime)
    }

    /// Ends the threads; tasks still on them are dropped. Waits at most for `limit`.
    pub(crate) async fn stop(&self, limit: Duration) {
        self.inner.stop.send_replace(true);
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A worker that panicked has ended as well.
                let _ = thread.join();
            }
        });
        let _ = tokio::time::timeout(limit, joined).await;
    }
}
