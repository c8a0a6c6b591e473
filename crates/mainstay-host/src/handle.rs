//! The way to talk to a running host.

use std::ffi::OsString;
use std::sync::Arc;

use mainstay_base::AppId;
use mainstay_base::metric::Collect;
use tokio::sync::watch;

use crate::{AppSpec, LogFilter, LogStream, Snapshot, Surroundings};

/// Settings of the host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The command that runs the guard of a replica (see the `guard` module): this program with a hidden argument.
    pub guard: Vec<OsString>,
    /// Lines of output kept per app.
    pub log_lines: usize,
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

/// Talks to a running host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {}

/// Starts everything in `specs` on the present tokio runtime.
///
/// # Errors
/// When the operating system refuses a pipe or a thread; an app that cannot be started is a state, not an error.
pub fn start(
    options: HostOptions,
    specs: Vec<AppSpec>,
    surroundings: Arc<dyn Surroundings>,
) -> Result<Handle, StartError> {
    let _ = (options, specs, surroundings);
    todo!("host")
}

impl Handle {
    /// The present state and every later one.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        todo!("host")
    }

    /// Output of the past and the future.
    pub fn logs(&self, filter: LogFilter) -> LogStream {
        let _ = filter;
        todo!("host")
    }

    /// Restarts the replicas of an app one after another: drain, stop, start, wait until ready. Returns once begun.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn restart(&self, app: &AppId) -> Result<(), UnknownApp> {
        let _ = app;
        todo!("host")
    }

    /// Begins to stop everything, in reverse order of needs; calling it again kills what is left at once.
    pub fn stop(&self) {
        todo!("host")
    }

    /// Resolves when everything has stopped after [`Handle::stop`]. Cancel safe.
    pub async fn stopped(&self) {
        todo!("host")
    }

    /// Restarts, processor time and memory of every replica, as metrics.
    pub fn metrics(&self) -> Arc<dyn Collect> {
        todo!("host")
    }
}
