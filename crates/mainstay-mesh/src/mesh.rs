//! The data plane as a component: options in, a handle out.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::metric::Collect;
use mainstay_base::{AppId, Clock, ReplicaId, SystemClock};

use crate::directory::Directory;
use crate::export::Exporter;
use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::span::Spans;
use crate::{AppProtocol, Caller, Endpoint, Report, Topology, Workers};

/// How often idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The operating system refused a thread or a runtime, or the collector's URL names no host.
    #[error("the data plane cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// The data plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) clock: SystemClock,
    pub(crate) workers: Workers,
    pub(crate) directory: Directory,
    pub(crate) spans: Arc<Spans>,
    exporter: Option<Exporter>,
}

impl Mesh {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options are handed over to the component"
    )]
    pub fn start(options: MeshOptions) -> Result<Self, StartError> {
        let workers = Workers::start(options.workers)?;
        let clock = SystemClock::new();
        let ratio = options.traces.as_ref().map_or(1.0, |export| export.ratio);
        let spans = Arc::new(Spans::new(options.traces.is_some(), ratio, &workers, clock));
        let exporter = match &options.traces {
            Some(export) => Some(Exporter::start(export, spans.clone())?),
            None => None,
        };
        let inner = Arc::new(Inner {
            directory: Directory::new(workers.count(), spans.clone(), clock),
            clock,
            workers,
            spans,
            exporter,
        });
        // Owned by the first worker: it ends with it.
        if let Some(runtime) = inner.workers.runtime(0) {
            runtime.spawn(sweep(Arc::downgrade(&inner)));
        }
        Ok(Self { inner })
    }

    /// Replaces the whole topology at once. Edges and targets that stay keep what they have learnt.
    pub fn configure(&self, topology: Topology) {
        self.inner.directory.configure(topology);
    }

    /// Says which replicas of `app` take traffic now. One that is missing gets no new calls; running ones go on.
    /// An app that the topology does not know is ignored.
    pub fn set_replicas(&self, app: &AppId, endpoints: &[Endpoint]) {
        let entries = self.inner.directory.entries();
        // The one replica of an external service is part of the topology.
        let Some(callee) = entries
            .callees
            .get(app)
            .filter(|callee| callee.protocol.is_some())
        else {
            return;
        };
        let place = |endpoint: &Endpoint| {
            // Every socket address is a valid authority.
            let origin = Origin::app(endpoint.address).ok()?;
            Some((endpoint.replica.clone(), origin))
        };
        let places = endpoints.iter().filter_map(place).collect();
        callee.set_replicas(places, false, self.inner.clock.now());
    }

    /// Gives `replica` no more calls and waits until the running ones have ended, at most for `limit`.
    pub async fn drain(&self, replica: &ReplicaId, limit: Duration) {
        let callee = self.inner.directory.entries().callees.get(&replica.app).cloned();
        if let Some(callee) = callee {
            callee.drain(replica, limit, self.inner.clock.now()).await;
        }
    }

    /// What the app called `name` speaks; `None` for an external service and an unknown name.
    pub fn app_protocol(&self, name: &str) -> Option<AppProtocol> {
        let entries = self.inner.directory.entries();
        entries.callees.get(name).and_then(|callee| callee.protocol)
    }

    /// The replicas of an app that take traffic now, in no order; none for an external service and an unknown name.
    pub fn replicas(&self, name: &str) -> Vec<ReplicaId> {
        let entries = self.inner.directory.entries();
        let Some(callee) = entries
            .callees
            .get(name)
            .filter(|callee| callee.protocol.is_some())
        else {
            return Vec::new();
        };
        let replicas = callee.state.replicas.load();
        replicas.iter().map(|replica| replica.id.clone()).collect()
    }

    /// The caller called `app`; `None` when the topology has no such caller.
    pub fn caller(&self, app: &AppId) -> Option<Caller> {
        let state = self.inner.directory.entries().callers.get(app).cloned()?;
        Some(Caller { state, client: None })
    }

    /// What it knows at this moment.
    pub fn report(&self) -> Report {
        Report::of(&self.inner)
    }

    /// Calls, attempts, latencies, retries, budgets, breakers, limits, queues, as metrics.
    pub fn metrics(&self) -> Arc<dyn Collect> {
        Arc::new(Metrics(self.inner.clone()))
    }

    /// The threads that serve connections.
    pub fn workers(&self) -> &Workers {
        &self.inner.workers
    }

    /// Sends the last spans and ends the workers; open connections are cut. Bounded by `limit`.
    pub async fn stop(&self, limit: Duration) {
        let stopping = async {
            if let Some(exporter) = &self.inner.exporter {
                exporter.stop(limit).await;
            }
            self.inner.workers.stop(limit).await;
        };
        let _ = tokio::time::timeout(limit, stopping).await;
    }
}

/// Closes idle connections for as long as the data plane lives.
async fn sweep(mesh: std::sync::Weak<Inner>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(mesh) = mesh.upgrade() else {
            return;
        };
        let now = mesh.clock.now();
        for callee in mesh.directory.entries().callees.values() {
            for replica in callee.state.replicas.load().iter() {
                replica.pool.sweep(now);
            }
        }
    }
}
