//! What the Dapr API does: one plain function per operation, shared by HTTP and gRPC.

pub(crate) mod configuration;
mod fence;
pub(crate) mod invoke;
pub(crate) mod lock;
pub(crate) mod metadata;
pub(crate) mod secrets;
pub(crate) mod state;

use std::time::Duration;

use mainstay_base::Fault;
use tokio::time::Instant;

use crate::blocks::About;
use crate::metrics::{Measured, Outcome};

/// How long a component may take for one operation.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for a component, but not for ever, and counts what becomes of it; `None` when it took too long.
async fn measured<T, E>(
    about: &About,
    measured: Measured,
    operation: impl Future<Output = Result<T, E>>,
    fault: impl FnOnce(&E) -> Fault,
) -> Option<Result<T, E>> {
    let started = Instant::now();
    let done = tokio::time::timeout(OPERATION_TIMEOUT, operation).await.ok();
    let outcome = match &done {
        None => Outcome::Failed,
        Some(result) => Outcome::of(result.as_ref().err().map(fault)),
    };
    about.meter.record(measured, outcome, started.elapsed());
    done
}
