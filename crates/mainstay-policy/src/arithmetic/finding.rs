//! What is wrong with a call graph, with the figures and the ways out.

use std::time::Duration;

use mainstay_base::{AppId, Availability};

use super::{Amplification, Timing};

/// Something that was found. [`Finding::message`] and [`Finding::ways`] put it in words.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A service promises to answer well more often than what it needs does.
    Availability {
        /// The service.
        service: AppId,
        /// What it promises.
        promised: Availability,
        /// What it can hold, in `0.0..=1.0`.
        bound: f64,
        /// What it needs, each with its own share; the least first.
        factors: Vec<(AppId, f64)>,
        /// The way to the one with the least share.
        path: Vec<AppId>,
        /// What to do.
        ways: Vec<Way>,
    },
    /// A service promises to be faster than its calls.
    Latency {
        /// The service.
        service: AppId,
        /// Whether the 99th percentile is meant; the longest time otherwise.
        p99: bool,
        /// What it promises.
        promised: Duration,
        /// What its calls take.
        needed: Duration,
        /// Its calls.
        parts: Vec<Part>,
        /// What to do.
        ways: Vec<Way>,
    },
    /// Retries on several layers add up to too much load.
    Amplification(Amplification),
    /// One failure stops much.
    SinglePoint {
        /// What may fail.
        service: AppId,
        /// Whether it is outside of our hands.
        external: bool,
        /// Who cannot do without it.
        dependents: Vec<AppId>,
        /// The way from the front door to it, where there is one.
        path: Vec<AppId>,
    },
    /// Services call each other in a circle.
    Cycle {
        /// The circle; the first one is also the last.
        path: Vec<AppId>,
    },
    /// Times that do not fit together.
    Timing(Timing),
}

/// What one call adds to the time of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Who is called.
    pub target: AppId,
    /// How often, one after another.
    pub times: u32,
    /// How long each takes.
    pub each: Duration,
    /// Whether it is made at the same time as the other parallel ones.
    pub parallel: bool,
}

impl Part {
    /// All of them.
    pub fn total(&self) -> Duration {
        self.each.saturating_mul(self.times)
    }
}

/// A way out.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Promise at most this.
    PromiseAvailability(Availability),
    /// Answer something else when this callee fails.
    Fallback {
        /// The callee.
        target: AppId,
        /// What can be promised then.
        then: Availability,
        /// Whether that is enough.
        enough: bool,
    },
    /// Let this callee promise more.
    RaiseAvailability {
        /// The callee.
        target: AppId,
        /// How much.
        to: Availability,
    },
    /// Let everything that is needed promise as much as this.
    RaiseAll(Availability),
    /// Promise at least this.
    PromiseLatency(Duration),
    /// Make the calls at the same time.
    Parallel {
        /// What they take then.
        then: Duration,
    },
    /// Do without this callee while answering: a cache, a message, a fallback with a shorter deadline.
    Avoid {
        /// The callee.
        target: AppId,
        /// What the other calls take.
        then: Duration,
        /// Whether that is enough.
        enough: bool,
    },
    /// Let this callee be faster.
    LowerLatency {
        /// The callee.
        target: AppId,
        /// How fast.
        to: Duration,
    },
}

impl Finding {
    /// Whether a promise cannot hold; a warning otherwise.
    pub const fn is_breach(&self) -> bool {
        matches!(self, Self::Availability { .. } | Self::Latency { .. })
    }

    /// The word for it in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Availability { .. } => "availability",
            Self::Latency { .. } => "latency",
            Self::Amplification(_) => "retry_amplification",
            Self::SinglePoint { .. } => "single_point_of_failure",
            Self::Cycle { .. } => "call_cycle",
            Self::Timing(timing) => timing.kind(),
        }
    }

    /// The services it runs through, in the order of the calls.
    pub fn path(&self) -> Vec<AppId> {
        match self {
            Self::SinglePoint { path, service, .. } if path.is_empty() => vec![service.clone()],
            Self::Availability { path, .. } | Self::Cycle { path } | Self::SinglePoint { path, .. } => {
                path.clone()
            }
            Self::Latency { service, parts, .. } => {
                let slowest = parts.iter().max_by_key(|part| part.total());
                let slowest = slowest.map(|part| part.target.clone());
                std::iter::once(service.clone()).chain(slowest).collect()
            }
            Self::Amplification(amplification) => amplification.path.clone(),
            Self::Timing(timing) => timing.path(),
        }
    }
}
