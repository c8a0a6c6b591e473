//! The way to talk to a running host.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::sync::Arc;

use mainstay_base::metric::Collect;
use mainstay_base::{AppId, SystemClock};
use tokio::sync::{Notify, watch};

use crate::board::Board;
use crate::context::{Context, StopLevel, wall_clock};
use crate::log::LogBuffer;
use crate::metrics::HostMetrics;
use crate::supervisor::Supervisor;
use crate::{AppSpec, LogFilter, LogStream, Snapshot, Surroundings};

/// Settings of the host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The command that runs the guard of a replica (see the `guard` module): this program with a hidden argument.
    pub guard: Vec<OsString>,
    /// Lines of output kept per app.
    pub log_lines: usize,
    /// Bytes of output kept per app, roughly; the newest line is always kept.
    pub log_bytes: usize,
}

impl HostOptions {
    /// The defaults: 10,000 lines (as many as Aspire keeps) and 4 MiB of each app.
    pub fn new(guard: Vec<OsString>) -> Self {
        Self {
            guard,
            log_lines: 10_000,
            log_bytes: 4 * 1024 * 1024,
        }
    }
}

/// The host could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused.
    #[error("the process host cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// There is no such app.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no app called `{0}`")]
pub struct UnknownApp(pub AppId);

/// Talks to a running host. Cheap to clone. When the last one is dropped, everything stops as by [`Handle::stop`].
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    /// Wants a restart of the app at this index.
    restarts: Vec<Arc<Notify>>,
    done: watch::Receiver<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.stop.send_if_modified(|level| {
            let runs = *level == StopLevel::Run;
            *level = (*level).max(StopLevel::Stop);
            runs
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Starts everything in `specs` on the present tokio runtime, which needs its I/O and time drivers.
///
/// When the runtime ends without [`Handle::stop`], everything is killed.
///
/// # Errors
/// When there is no runtime; an app that cannot be started is a state, not an error.
pub fn start(
    options: HostOptions,
    specs: Vec<AppSpec>,
    surroundings: Arc<dyn Surroundings>,
) -> Result<Handle, StartError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let apps = specs.iter().map(|spec| spec.app.clone());
    let logs = LogBuffer::new(apps, options.log_lines, options.log_bytes);
    let context = Arc::new(Context {
        board: Board::new(&specs, wall_clock()),
        logs: Arc::new(logs),
        app_stops: specs.iter().map(|_| watch::Sender::new(false)).collect(),
        options,
        specs,
        surroundings,
        clock: SystemClock::new(),
        stop: watch::Sender::new(StopLevel::Run),
    });
    let restarts: Vec<Arc<Notify>> = context.specs.iter().map(|_| Arc::default()).collect();
    let (done_sender, done) = watch::channel(false);
    let supervisor = Supervisor::start(&context, &restarts, seed());
    runtime.spawn(supervisor.run(done_sender));
    Ok(Handle {
        inner: Arc::new(Inner {
            context,
            restarts,
            done,
        }),
    })
}

/// Something that differs from run to run; it only spreads restarts.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

impl Handle {
    /// The present state and every later one.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.inner.context.board.watch()
    }

    /// Output of the past and the future.
    pub fn logs(&self, filter: LogFilter) -> LogStream {
        LogStream::new(Arc::clone(&self.inner.context.logs), filter)
    }

    /// Restarts the replicas of an app one after another: drain, stop, start, wait until ready. Returns once begun.
    /// A replica that does not become ready ends it, which the log says; the rest stay as they are.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn restart(&self, app: &AppId) -> Result<(), UnknownApp> {
        let index = self.index(app)?;
        let context = &self.inner.context;
        if let (Some(stop), Some(wanted)) = (context.app_stops.get(index), self.inner.restarts.get(index)) {
            stop.send_replace(false);
            wanted.notify_one();
        }
        Ok(())
    }

    /// Begins to stop one app: drain, stop. The others go on, and [`Handle::restart`] starts it again.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn stop_app(&self, app: &AppId) -> Result<(), UnknownApp> {
        let index = self.index(app)?;
        if let Some(stop) = self.inner.context.app_stops.get(index) {
            stop.send_replace(true);
        }
        Ok(())
    }

    fn index(&self, app: &AppId) -> Result<usize, UnknownApp> {
        let mut specs = self.inner.context.specs.iter();
        specs
            .position(|spec| spec.app == *app)
            .ok_or_else(|| UnknownApp(app.clone()))
    }

    /// Begins to stop everything, in reverse order of needs; calling it again kills what is left at once.
    pub fn stop(&self) {
        self.inner.context.stop.send_modify(|level| {
            *level = match level {
                StopLevel::Run => StopLevel::Stop,
                StopLevel::Stop | StopLevel::Kill => StopLevel::Kill,
            };
        });
    }

    /// Resolves when everything has stopped after [`Handle::stop`]. Cancel safe.
    pub async fn stopped(&self) {
        // An error means that the runtime has ended the host, which stops it too.
        let _ = self.inner.done.clone().wait_for(|done| *done).await;
    }

    /// Restarts, processor time and memory of every replica, as metrics.
    pub fn metrics(&self) -> Arc<dyn Collect> {
        Arc::new(HostMetrics(Arc::clone(&self.inner.context)))
    }
}
