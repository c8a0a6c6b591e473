//! What the Dapr API does: one plain function per operation, shared by HTTP and gRPC.

pub(crate) mod configuration;
mod fence;
pub(crate) mod invoke;
pub(crate) mod lock;
mod merge;
pub(crate) mod metadata;
mod own;
pub(crate) mod secrets;
pub(crate) mod state;

use std::fmt;
use std::time::Duration;

use mainstay_base::{ErrorKind, Fault};
use tokio::time::Instant;

use crate::blocks::About;
use crate::metrics::{Measured, Outcome};

/// How long a component may take for one operation.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a component has not done what was asked.
#[derive(Debug)]
pub(crate) enum Undone<E> {
    /// It said so.
    Failed(E),
    /// It gave no answer in time.
    Late,
}

/// Waits for a component, but not for ever, and counts what becomes of it.
async fn measured<T, E>(
    about: &About,
    measured: Measured,
    operation: impl Future<Output = Result<T, E>>,
    fault: impl FnOnce(&E) -> Fault,
) -> Result<T, Undone<E>> {
    let started = Instant::now();
    let done = match tokio::time::timeout(OPERATION_TIMEOUT, operation).await {
        Ok(done) => done.map_err(Undone::Failed),
        Err(_) => Err(Undone::Late),
    };
    let outcome = match &done {
        Ok(_) => Outcome::of(None),
        Err(Undone::Failed(error)) => Outcome::of(Some(fault(error))),
        Err(Undone::Late) => Outcome::Failed,
    };
    about.meter.record(measured, outcome, started.elapsed());
    done
}

impl<E> Undone<E> {
    /// What happened.
    pub(crate) fn kind(&self, of: impl FnOnce(&E) -> ErrorKind) -> ErrorKind {
        match self {
            Self::Failed(error) => of(error),
            Self::Late => ErrorKind::DeadlineExceeded,
        }
    }
}

impl<E> From<E> for Undone<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

impl<E: fmt::Display> fmt::Display for Undone<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(formatter),
            Self::Late => {
                let limit = mainstay_base::format_duration(OPERATION_TIMEOUT);
                write!(formatter, "no answer within {limit}")
            }
        }
    }
}
