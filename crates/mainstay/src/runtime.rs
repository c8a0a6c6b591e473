//! The runtime of everything that is not the data plane.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::nofile;

/// Raises the limits of this process for serving, and starts the runtime of its control plane with so many threads.
pub(crate) fn control(threads: usize) -> Result<Runtime, Failure> {
    nofile::raise();
    Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| unstarted(&error))
}

/// The system did not give what a command needs to start.
pub(crate) fn unstarted(error: &io::Error) -> Failure {
    Failure::refused(format!("cannot start: {error}"))
}
