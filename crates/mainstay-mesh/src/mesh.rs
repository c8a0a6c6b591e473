//! The data plane as a component: options in, a handle out.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::metric::Collect;
use mainstay_base::{AppId, ReplicaId};

use crate::{Endpoint, Report, Topology, Workers};

/// Settings of the data plane.
#[derive(Clone, Debug)]
pub struct MeshOptions {
    /// Threads; one per core unless told otherwise.
    pub workers: usize,
    /// Where spans go; nowhere when absent.
    pub traces: Option<TraceExport>,
}

/// Where spans go, as the `OTEL_EXPORTER_OTLP_*` variables say.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceExport {
    /// Base URL of the collector, `http://127.0.0.1:4318`.
    pub endpoint: http::Uri,
    /// gRPC instead of HTTP with protobuf.
    pub grpc: bool,
    /// Share of new traces that are recorded, `0.0..=1.0`; what a caller decided is kept.
    pub ratio: f64,
}

/// The data plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused a thread or a runtime.
    #[error("the data plane cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// The data plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mesh {}

impl Mesh {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(options: MeshOptions) -> Result<Self, StartError> {
        let _ = options;
        todo!("mesh")
    }

    /// Replaces the whole topology at once. Edges and targets that stay keep what they have learnt.
    pub fn configure(&self, topology: Topology) {
        let _ = topology;
        todo!("mesh")
    }

    /// Says which replicas of `app` take traffic now. One that is missing gets no new calls; running ones go on.
    pub fn set_replicas(&self, app: &AppId, endpoints: &[Endpoint]) {
        let _ = (app, endpoints);
        todo!("mesh")
    }

    /// Gives `replica` no more calls and waits until the running ones have ended, at most for `limit`.
    pub async fn drain(&self, replica: &ReplicaId, limit: Duration) {
        let _ = (replica, limit);
        todo!("mesh")
    }

    /// What it knows at this moment.
    pub fn report(&self) -> Report {
        todo!("mesh")
    }

    /// Calls, attempts, latencies, retries, budgets, breakers, limits, queues, as metrics.
    pub fn metrics(&self) -> Arc<dyn Collect> {
        todo!("mesh")
    }

    /// The threads that serve connections.
    pub fn workers(&self) -> &Workers {
        todo!("mesh")
    }

    /// Sends the last spans and ends the workers; open connections are cut. Bounded by `limit`.
    pub async fn stop(&self, limit: Duration) {
        let _ = limit;
        todo!("mesh")
    }
}
