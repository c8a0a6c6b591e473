//! What shows only along a path: retries that multiply, circles of calls, single points of failure.

use std::collections::VecDeque;

use mainstay_base::AppId;

use super::availability::Table;
use super::finding::Finding;
use super::graph::{Edge, Graph, Role, Substitute};

/// More load than this from retries alone is worth a warning.
const MUCH_LOAD: f64 = 2.0;

/// The path on which one call may become the most.
#[derive(Clone, Debug, PartialEq)]
pub struct Amplification {
    /// The services, the first caller first.
    pub path: Vec<AppId>,
    /// Attempts at each call of the path.
    pub attempts: Vec<u32>,
    /// The product: calls that one call may become at the end of the path.
    pub worst: f64,
    /// What the retry budgets make of it: the factor by which the load may grow.
    pub load: f64,
}

impl Amplification {
    /// A warning when it is much.
    pub(super) fn finding(&self) -> Option<Finding> {
        (self.load > MUCH_LOAD).then(|| Finding::Amplification(self.clone()))
    }
}

/// The path with the largest product of attempts. A circle of calls is walked once at most.
pub(super) fn amplification(graph: &Graph) -> Option<Amplification> {
    // By service: the product of the best path that begins there, and its first call.
    let mut best: Vec<(f64, Option<&Edge>)> = vec![(1.0, None); graph.services.len()];
    let mut known = vec![false; graph.services.len()];
    for service in graph.callees_first() {
        for edge in graph.calls_of(service) {
            // A callee that is not known yet closes a circle.
            if known.get(edge.target) != Some(&true) {
                continue;
            }
            let after = best.get(edge.target).map_or(1.0, |(product, _)| *product);
            let product = f64::from(edge.call.attempts) * after;
            if let Some(entry) = best.get_mut(service).filter(|(known, _)| product > *known) {
                *entry = (product, Some(edge));
            }
        }
        if let Some(known) = known.get_mut(service) {
            *known = true;
        }
    }
    let start = (0..best.len()).max_by(|a, b| {
        let product = |index: &usize| best.get(*index).map_or(1.0, |(product, _)| *product);
        product(a).total_cmp(&product(b)).then(b.cmp(a))
    })?;
    let mut found = Amplification {
        path: vec![graph.name(start)?],
        attempts: Vec::new(),
        worst: 1.0,
        load: 1.0,
    };
    let mut here = start;
    while let Some((_, Some(edge))) = best.get(here) {
        found.path.push(graph.name(edge.target)?);
        found.attempts.push(edge.call.attempts);
        found.worst *= f64::from(edge.call.attempts);
        if edge.call.attempts > 1 {
            // A budget lets through its share of the calls, and never more than there are attempts.
            let retries = edge.call.budget_ratio.min(f64::from(edge.call.attempts - 1));
            found.load *= 1.0 + retries;
        }
        here = edge.target;
    }
    (found.worst > 1.0).then_some(found)
}

/// One finding for each circle of calls, the shortest way round.
pub(super) fn cycles(graph: &Graph) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = vec![false; graph.services.len()];
    for start in 0..graph.services.len() {
        if seen.get(start) == Some(&true) {
            continue;
        }
        let Some(cycle) = shortest(graph, start, start) else {
            continue;
        };
        for member in &cycle {
            if let Some(seen) = seen.get_mut(*member) {
                *seen = true;
            }
        }
        let path = cycle
            .into_iter()
            .filter_map(|member| graph.name(member))
            .collect();
        found.push(Finding::Cycle { path });
    }
    found
}

/// The shortest path of at least one call from `from` to `to`, both included.
fn shortest(graph: &Graph, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; graph.services.len()];
    let mut queue = VecDeque::from([from]);
    while let Some(service) = queue.pop_front() {
        for edge in graph.calls_of(service) {
            let entry = came_from.get_mut(edge.target)?;
            if entry.is_some() {
                continue;
            }
            *entry = Some(service);
            if edge.target == to {
                let mut path = vec![to];
                let mut here = service;
                while here != from {
                    path.push(here);
                    here = (*came_from.get(here)?)?;
                }
                path.push(from);
                path.reverse();
                return Some(path);
            }
            queue.push_back(edge.target);
        }
    }
    None
}

/// Services that run once, or are outside of our hands, and that requests from outside or several apps cannot do without.
pub(super) fn single_points(graph: &Graph, table: &Table) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, service) in graph.services.iter().enumerate() {
        let external = service.role == Role::External;
        if service.role == Role::Door || (!external && service.replicas > 1) {
            continue;
        }
        let dependents =
            (0..graph.services.len()).filter(|other| table.needs(*other).any(|need| need == index));
        let dependents: Vec<usize> = dependents.collect();
        let is_door = |other: &usize| {
            graph
                .service(*other)
                .is_some_and(|other| other.role == Role::Door)
        };
        let door = dependents.iter().copied().find(is_door);
        let apps = dependents.iter().copied().filter(|other| !is_door(other));
        let dependents: Vec<AppId> = apps.filter_map(|app| graph.name(app)).collect();
        if door.is_none() && dependents.len() < 2 {
            continue;
        }
        let path = door
            .and_then(|door| hard_path(graph, table, door, index))
            .unwrap_or_default();
        found.push(Finding::SinglePoint {
            service: service.name.clone(),
            external,
            dependents,
            path: path.into_iter().filter_map(|index| graph.name(index)).collect(),
        });
    }
    found
}

/// A path of calls, each of which the next service is needed for.
fn hard_path(graph: &Graph, table: &Table, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut path = vec![from];
    while path.last() != Some(&to) {
        let here = *path.last()?;
        let next = graph
            .calls_of(here)
            .filter(|edge| edge.call.substitute != Substitute::Answer)
            .map(|edge| edge.target)
            .find(|target| {
                !path.contains(target) && (*target == to || table.needs(*target).any(|need| need == to))
            })?;
        path.push(next);
    }
    Some(path)
}
