//! What the Dapr API does: one plain function per operation, shared by HTTP and gRPC.

pub(crate) mod configuration;
pub(crate) mod invoke;
pub(crate) mod lock;
pub(crate) mod metadata;
pub(crate) mod secrets;
pub(crate) mod state;

use std::time::Duration;

/// How long a component may take for one operation.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
