//! What runs, as metrics.

use std::sync::Arc;

use mainstay_base::metric::{Collect, Descriptor, Kind, Visitor};

use crate::context::Context;
use crate::{ReplicaState, ReplicaStatus};

const LABELS: &[&str] = &["app", "replica"];

/// A metric and how it is read from a replica's status.
struct Metric {
    descriptor: Descriptor,
    value: fn(&ReplicaStatus) -> f64,
}

const fn metric(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: fn(&ReplicaStatus) -> f64,
) -> Metric {
    Metric {
        descriptor: Descriptor {
            name,
            help,
            kind,
            labels: LABELS,
        },
        value,
    }
}

/// The one table.
static METRICS: [Metric; 6] = [
    metric(
        "mainstay_process_restarts_total",
        "Starts of the replica after its first one.",
        Kind::Counter,
        |status| f64::from(status.restarts),
    ),
    metric(
        "mainstay_process_cpu_seconds_total",
        "Processor time of the replica's processes since its last start.",
        Kind::Counter,
        |status| status.usage.cpu.as_secs_f64(),
    ),
    metric(
        "mainstay_process_resident_memory_bytes",
        "Memory of the replica's processes.",
        Kind::Gauge,
        |status| status.usage.memory_bytes as f64,
    ),
    metric(
        "mainstay_process_open_files",
        "Open file descriptors of the replica's processes.",
        Kind::Gauge,
        |status| status.usage.open_files as f64,
    ),
    metric(
        "mainstay_process_count",
        "Processes of the replica.",
        Kind::Gauge,
        |status| f64::from(status.usage.processes),
    ),
    metric(
        "mainstay_process_ready",
        "1 while the replica takes traffic, else 0.",
        Kind::Gauge,
        |status| f64::from(u8::from(status.state == ReplicaState::Ready)),
    ),
];

/// Every metric of the host.
pub static METRIC_TABLE: [&Descriptor; METRICS.len()] = {
    let mut descriptors = [&METRICS[0].descriptor; METRICS.len()];
    let mut index = 1;
    while index < METRICS.len() {
        descriptors[index] = &METRICS[index].descriptor;
        index += 1;
    }
    descriptors
};

/// Reads the metrics of a host from its board.
pub(crate) struct HostMetrics(pub(crate) Arc<Context>);

impl Collect for HostMetrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        &METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        let snapshot = self.0.board.snapshot();
        for metric in &METRICS {
            for status in snapshot.apps.iter().flat_map(|app| &app.replicas) {
                let labels = [status.id.app.as_str(), &status.id.index.to_string()];
                visitor.value(&metric.descriptor, &labels, (metric.value)(status));
            }
        }
    }
}
