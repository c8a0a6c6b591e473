//! How fast a service can answer, given how fast those do that it calls.

use std::time::Duration;

use super::finding::{Finding, Part, Way};
use super::graph::{Edge, Graph, Substitute};

/// Which figure of the latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// The 99th percentile.
    P99,
    /// The longest time.
    Max,
}

impl Figure {
    /// What a service promises; the longest time is twice the 99th percentile where it is not given.
    fn promised(self, graph: &Graph, service: usize) -> Option<Duration> {
        let latency = graph.service(service)?.latency?;
        Some(match self {
            Self::P99 => latency.p99,
            Self::Max => latency.max.unwrap_or(latency.p99.saturating_mul(2)),
        })
    }
}

/// How long each service takes: what it promises, else what its own calls take together.
pub(super) struct Table {
    figure: Figure,
    takes: Vec<Duration>,
}

impl Table {
    pub(super) fn new(graph: &Graph, figure: Figure) -> Self {
        let mut table = Self {
            figure,
            // What is reached again within a cycle of calls adds nothing here: the cycle has its own finding.
            takes: vec![Duration::ZERO; graph.services.len()],
        };
        for service in graph.callees_first() {
            let promised = figure.promised(graph, service);
            let takes = promised.unwrap_or_else(|| table.needed(graph, service));
            if let Some(entry) = table.takes.get_mut(service) {
                *entry = takes;
            }
        }
        table
    }

    /// The time that the calls of `service` take together: those made one after another summed up, and of the parallel
    /// ones the longest.
    pub(super) fn needed(&self, graph: &Graph, service: usize) -> Duration {
        total(&self.parts(graph, service))
    }

    fn parts(&self, graph: &Graph, service: usize) -> Vec<Part> {
        let part = |edge: &Edge| {
            let takes = self.takes.get(edge.target).copied()?;
            // The caller does not wait longer when it has another answer.
            let waits = match edge.call.substitute {
                Substitute::Answer => takes.min(edge.call.call_timeout),
                Substitute::Nothing | Substitute::Service(_) => takes,
            };
            Some(Part {
                target: graph.name(edge.target)?,
                times: edge.call.per_request,
                each: waits,
                parallel: edge.call.parallel,
            })
        };
        graph.calls_of(service).filter_map(part).collect()
    }

    /// Whether the calls of `service` take longer than it promises, with the ways out.
    pub(super) fn finding(&self, graph: &Graph, service: usize) -> Option<Finding> {
        let promised = self.figure.promised(graph, service)?;
        let parts = self.parts(graph, service);
        let needed = total(&parts);
        if needed <= promised {
            return None;
        }
        Some(Finding::Latency {
            service: graph.name(service)?,
            p99: self.figure == Figure::P99,
            promised,
            needed,
            ways: ways(promised, needed, &parts),
            parts,
        })
    }
}

fn total(parts: &[Part]) -> Duration {
    let sum = parts.iter().filter(|part| !part.parallel).map(Part::total);
    let longest = parts.iter().filter(|part| part.parallel).map(Part::total).max();
    sum.chain(longest).fold(Duration::ZERO, Duration::saturating_add)
}

fn ways(promised: Duration, needed: Duration, parts: &[Part]) -> Vec<Way> {
    let mut ways = vec![Way::PromiseLatency(needed)];
    let at_once: Vec<Part> = parts
        .iter()
        .map(|part| Part {
            parallel: true,
            ..part.clone()
        })
        .collect();
    if total(&at_once) <= promised && parts.len() > 1 {
        ways.push(Way::Parallel {
            then: total(&at_once),
        });
    }
    let Some(slowest) = parts.iter().max_by_key(|part| part.total()) else {
        return ways;
    };
    let without: Vec<Part> = parts.iter().filter(|part| *part != slowest).cloned().collect();
    let rest = total(&without);
    ways.push(Way::Avoid {
        target: slowest.target.clone(),
        then: rest,
        enough: rest <= promised,
    });
    let room = promised.saturating_sub(rest) / slowest.times.max(1);
    if !room.is_zero() {
        ways.push(Way::LowerLatency {
            target: slowest.target.clone(),
            to: room,
        });
    }
    ways
}
