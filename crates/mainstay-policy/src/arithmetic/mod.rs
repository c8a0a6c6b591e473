//! SLA arithmetic: what the promises of a call graph say about each other, before anything runs.
//!
//! Everything rests on what is promised. A service that promises nothing cannot break its word: it is looked through to
//! what it calls. Promises are taken at their word and no better, retries are given no credit (outages are not
//! independent), and sums of 99th percentiles stand for the 99th percentile of a sum, which is on the safe side.

mod availability;
mod finding;
mod graph;
mod latency;
mod paths;
#[cfg(test)]
mod tests;
mod timing;
mod words;

pub use finding::{Finding, Part, Way};
pub use graph::{Call, Graph, Role, Service, Substitute};
pub use paths::Amplification;
pub use timing::Timing;

use std::time::Duration;

use mainstay_base::AppId;

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What each service needs, in the order of the graph; the front door is left out.
    pub services: Vec<Needs>,
    /// Broken promises first, then warnings.
    pub findings: Vec<Finding>,
    /// The path on which one call may become the most; absent when nothing is retried.
    pub amplification: Option<Amplification>,
}

/// What the calls of a service need, held against what it promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// The service.
    pub service: AppId,
    /// The sum of the 99th percentiles of its calls.
    pub p99: Duration,
    /// The sum of the longest times of its calls.
    pub max: Duration,
    /// The product of the availabilities of everything it cannot do without, in `0.0..=1.0`.
    pub availability: f64,
}

/// Does all the arithmetic.
pub fn analyse(graph: &Graph) -> Report {
    let availability = availability::Table::new(graph);
    let p99 = latency::Table::new(graph, latency::Figure::P99);
    let max = latency::Table::new(graph, latency::Figure::Max);
    let mut findings = Vec::new();
    let mut services = Vec::new();
    for (index, service) in graph.services.iter().enumerate() {
        if service.role == Role::Door {
            continue;
        }
        services.push(Needs {
            service: service.name.clone(),
            p99: p99.needed(graph, index),
            max: max.needed(graph, index),
            availability: availability.bound(index),
        });
        findings.extend(availability::finding(graph, &availability, index));
        // The longest time is most often twice the 99th percentile, and then says nothing new.
        findings.extend(p99.finding(graph, index).or_else(|| max.finding(graph, index)));
    }
    findings.extend(paths::cycles(graph));
    findings.extend(timing::timings(graph).into_iter().map(Finding::Timing));
    findings.extend(paths::single_points(graph, &availability));
    let amplification = paths::amplification(graph);
    findings.extend(amplification.as_ref().and_then(Amplification::finding));
    findings.sort_by_key(|finding| !finding.is_breach());
    Report {
        services,
        findings,
        amplification,
    }
}

impl Report {
    /// Whether every promise can hold.
    pub fn holds(&self) -> bool {
        !self.findings.iter().any(Finding::is_breach)
    }
}
