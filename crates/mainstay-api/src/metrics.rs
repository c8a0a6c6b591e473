//! What the servers count.

mod component;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::metric::{Collect, Counter, Descriptor, Kind, Visitor};

pub use self::component::Meter;
pub(crate) use self::component::{Measured, Outcome};
use self::component::{OPERATION_SECONDS, OPERATIONS_TOTAL};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// The Dapr API of an app.
    App,
    /// The front door.
    Ingress,
    /// The control API.
    Control,
}

impl ServerKind {
    const ALL: [Self; 3] = [Self::App, Self::Ingress, Self::Control];

    const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Ingress => "ingress",
            Self::Control => "control",
        }
    }
}

/// Why a request never reached an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no HTTP, or its head is too large.
    Malformed,
    /// Its head took too long.
    HeadTimeout,
    /// Its client does not take the answer.
    Stalled,
    /// Its token is missing or wrong.
    Unauthorized,
    /// Its body is larger than what is held in memory, or took too long.
    Body,
    /// No route leads anywhere.
    NoRoute,
}

impl Refusal {
    const ALL: [Self; 6] = [
        Self::Malformed,
        Self::HeadTimeout,
        Self::Stalled,
        Self::Unauthorized,
        Self::Body,
        Self::NoRoute,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTimeout => "head_timeout",
            Self::Stalled => "stalled",
            Self::Unauthorized => "unauthorized",
            Self::Body => "body",
            Self::NoRoute => "no_route",
        }
    }
}

static CONNECTIONS: Descriptor = Descriptor {
    name: "mainstay_api_connections",
    help: "Open client connections, WebSockets included.",
    kind: Kind::Gauge,
    labels: &["server"],
};
static CONNECTIONS_TOTAL: Descriptor = Descriptor {
    name: "mainstay_api_connections_total",
    help: "Client connections accepted.",
    kind: Kind::Counter,
    labels: &["server"],
};
static REFUSED_TOTAL: Descriptor = Descriptor {
    name: "mainstay_api_refused_requests_total",
    help: "Requests that never reached an operation, by reason.",
    kind: Kind::Counter,
    labels: &["server", "reason"],
};
/// Every metric of the servers.
pub static METRIC_TABLE: [&Descriptor; 5] = [
    &CONNECTIONS,
    &CONNECTIONS_TOTAL,
    &REFUSED_TOTAL,
    &OPERATIONS_TOTAL,
    &OPERATION_SECONDS,
];

#[derive(Debug, Default)]
struct PerServer {
    open: AtomicU64,
    accepted: Counter,
    refused: [Counter; Refusal::ALL.len()],
}

/// What the servers count: made once, shared by all of them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    servers: [PerServer; ServerKind::ALL.len()],
    /// In the order in which they were opened.
    components: Mutex<Vec<Meter>>,
    caches: mainstay_cache::Metrics,
}

impl Metrics {
    /// Counts a connection that was accepted; it is open until the result is dropped.
    pub(crate) fn open(&self, server: ServerKind) -> OpenConnection {
        if let Some(counts) = self.0.servers.get(server as usize) {
            counts.accepted.increment();
            counts.open.fetch_add(1, Ordering::Relaxed);
        }
        OpenConnection(self.clone(), server)
    }

    /// Where caches count.
    pub fn caches(&self) -> &mainstay_cache::Metrics {
        &self.0.caches
    }

    /// What counts the operations of a component.
    pub fn meter(&self, component: &str, kind: &str) -> Meter {
        let meter = Meter::new(component, kind);
        self.components().push(meter.clone());
        meter
    }

    fn components(&self) -> std::sync::MutexGuard<'_, Vec<Meter>> {
        self.0.components.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that was refused.
    pub(crate) fn refuse(&self, server: ServerKind, reason: Refusal) {
        let counter = self
            .0
            .servers
            .get(server as usize)
            .and_then(|counts| counts.refused.get(reason as usize));
        if let Some(counter) = counter {
            counter.increment();
        }
    }
}

impl Collect for Metrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        &METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        let servers = || ServerKind::ALL.into_iter().zip(self.0.servers.iter());
        for (server, counts) in servers() {
            let open = counts.open.load(Ordering::Relaxed);
            visitor.value(&CONNECTIONS, &[server.as_str()], open as f64);
        }
        for (server, counts) in servers() {
            let accepted = counts.accepted.get();
            visitor.value(&CONNECTIONS_TOTAL, &[server.as_str()], accepted as f64);
        }
        for (server, counts) in servers() {
            for (reason, refused) in Refusal::ALL.into_iter().zip(&counts.refused) {
                let labels = [server.as_str(), reason.as_str()];
                visitor.value(&REFUSED_TOTAL, &labels, refused.get() as f64);
            }
        }
        let components = self.components();
        for meter in components.iter() {
            meter.collect_outcomes(visitor);
        }
        for meter in components.iter() {
            meter.collect_durations(visitor);
        }
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Metrics, ServerKind);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(counts) = self.0.0.servers.get(self.1 as usize) {
            counts.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
