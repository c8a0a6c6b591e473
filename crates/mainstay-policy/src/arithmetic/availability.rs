//! How often a service can answer well, given how often those do that it cannot do without.

use std::collections::BTreeSet;

use mainstay_base::{AppId, Availability};

use super::finding::{Finding, Way};
use super::graph::{Graph, Substitute};

/// What each service cannot do without, and how much each contributes.
pub(super) struct Table {
    /// By service: those whose failure alone makes it fail, itself left out.
    needs: Vec<BTreeSet<usize>>,
    /// By service: how often it answers well as long as those do that it needs.
    own: Vec<f64>,
}

impl Table {
    pub(super) fn new(graph: &Graph) -> Self {
        let needs = needs(graph);
        let own = own(graph, &needs);
        Self { needs, own }
    }

    /// Those whose failure alone makes `service` fail, itself left out.
    pub(super) fn needs(&self, service: usize) -> impl Iterator<Item = usize> {
        self.needs.get(service).into_iter().flatten().copied()
    }

    /// How often `service` answers well as long as those do that it needs.
    pub(super) fn own(&self, service: usize) -> f64 {
        self.own.get(service).copied().unwrap_or(1.0)
    }

    /// The most that `service` can promise: the product over everything it needs, each counted once however many paths
    /// lead to it.
    pub(super) fn bound(&self, service: usize) -> f64 {
        self.needs(service)
            .filter_map(|need| self.own.get(need))
            .product()
    }
}

/// The least solution of: a service needs the target of each of its calls and what that needs; where another service
/// stands in, only what both need; where a fixed answer does, nothing.
///
/// It is found by growing from nothing, so it ends in a cycle of calls as well.
fn needs(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); graph.services.len()];
    // Callees first: without a cycle the first round finds everything.
    let order = graph.callees_first();
    loop {
        let mut grown = false;
        for edge in order.iter().flat_map(|service| graph.calls_of(*service)) {
            let of = |service: usize| -> BTreeSet<usize> {
                needs
                    .get(service)
                    .into_iter()
                    .flatten()
                    .copied()
                    .chain([service])
                    .collect()
            };
            let all = match (&edge.call.substitute, edge.other) {
                (Substitute::Answer, _) => continue,
                (_, None) => of(edge.target),
                (_, Some(other)) => of(edge.target).intersection(&of(other)).copied().collect(),
            };
            if let Some(mine) = needs.get_mut(edge.caller) {
                let before = mine.len();
                mine.extend(all.into_iter().filter(|need| *need != edge.caller));
                grown |= mine.len() > before;
            }
        }
        if !grown {
            return needs;
        }
    }
}

/// A promise covers what the service needs; what is left is its own share: `A / product over its needs`, at most 1. A
/// service without a promise has none of its own.
///
/// In a circle of calls every promise covers all the others, so only the weakest of them says anything.
fn own(graph: &Graph, needs: &[BTreeSet<usize>]) -> Vec<f64> {
    let mut own = vec![1.0; graph.services.len()];
    let needs_of = |service: usize| needs.get(service).into_iter().flatten().copied();
    let promised = |service: usize| graph.service(service).and_then(|service| service.availability);
    // What a service needs needs less than the service itself, but for the members of a circle.
    let mut order: Vec<usize> = (0..graph.services.len()).collect();
    order.sort_by_key(|service| needs.get(*service).map_or(0, BTreeSet::len));
    for service in order {
        let Some(mine) = promised(service) else { continue };
        let (circle, others): (Vec<usize>, Vec<usize>) =
            needs_of(service).partition(|need| needs_of(*need).any(|theirs| theirs == service));
        let weaker = |peer: &usize| {
            promised(*peer).is_some_and(|theirs| (theirs.ratio(), *peer) < (mine.ratio(), service))
        };
        if circle.iter().any(weaker) {
            continue;
        }
        let product: f64 = others.iter().filter_map(|need| own.get(*need)).product();
        if let Some(own) = own.get_mut(service) {
            *own = (mine.ratio() / product).min(1.0);
        }
    }
    own
}

/// Figures closer than this are the same: products of percentages are not exact in binary.
const ROUNDING: f64 = 1e-9;

/// Whether the promise of `service` is more than it can hold, with the ways out.
pub(super) fn finding(graph: &Graph, table: &Table, service: usize) -> Option<Finding> {
    let described = graph.service(service)?;
    let promised = described.availability?;
    let bound = table.bound(service);
    if promised.ratio() <= bound + ROUNDING {
        return None;
    }
    let factors = table
        .needs(service)
        .filter_map(|need| Some((graph.name(need)?, table.own(need))));
    let mut factors: Vec<_> = factors.filter(|(_, own)| *own < 1.0).collect();
    factors.sort_by(|a, b| a.1.total_cmp(&b.1));
    Some(Finding::Availability {
        service: described.name.clone(),
        promised,
        bound,
        path: worst_path(graph, table, service),
        ways: ways(graph, table, service, promised, bound, factors.len()),
        factors,
    })
}

/// From the service down to the one with the least share of its own, along calls that have no substitute.
fn worst_path(graph: &Graph, table: &Table, service: usize) -> Vec<AppId> {
    let worst = table
        .needs(service)
        .min_by(|a, b| table.own(*a).total_cmp(&table.own(*b)));
    let mut path = vec![service];
    while let Some(worst) = worst.filter(|worst| path.last() != Some(worst)) {
        let here = path.last().copied().unwrap_or(service);
        let next = graph.calls_of(here).map(|edge| edge.target).find(|target| {
            !path.contains(target) && (*target == worst || table.needs(*target).any(|need| need == worst))
        });
        match next {
            Some(next) => path.push(next),
            None => break,
        }
    }
    path.into_iter().filter_map(|index| graph.name(index)).collect()
}

fn ways(
    graph: &Graph,
    table: &Table,
    service: usize,
    promised: Availability,
    bound: f64,
    factors: usize,
) -> Vec<Way> {
    let mut ways = vec![Way::PromiseAvailability(Availability::from_ratio(round_down(
        bound,
    )))];
    let with_fallback = graph
        .calls_of(service)
        .filter(|edge| edge.call.substitute == Substitute::Nothing);
    let best = with_fallback
        .map(|edge| {
            let bound = Table::new(&graph.with_fallback(edge)).bound(service);
            (edge.target, bound)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((target, then)) = best.and_then(|(target, then)| Some((graph.name(target)?, then))) {
        let enough = promised.ratio() <= then + ROUNDING;
        ways.push(Way::Fallback {
            target,
            then: Availability::from_ratio(round_down(then)),
            enough,
        });
    }
    let raised = raised(graph, table, service, promised, bound);
    match raised {
        Some((target, to)) => ways.push(Way::RaiseAvailability {
            target,
            to: Availability::from_ratio(to),
        }),
        None if factors > 0 => ways.push(Way::RaiseAll(Availability::from_ratio(round_up(
            promised.ratio().powf(1.0 / factors as f64),
        )))),
        None => {}
    }
    ways
}

/// The weakest promise whose raising alone is enough, and how much it must be. Raising one may be in vain: who needs that
/// service as well has promised no more than before.
fn raised(
    graph: &Graph,
    table: &Table,
    service: usize,
    promised: Availability,
    bound: f64,
) -> Option<(AppId, f64)> {
    let candidates = table
        .needs(service)
        .filter_map(|need| Some((need, graph.service(need)?.availability?)));
    let mut candidates: Vec<_> = candidates.collect();
    candidates.sort_by(|a, b| a.1.ratio().total_cmp(&b.1.ratio()));
    candidates.into_iter().find_map(|(need, has)| {
        let to = round_up(has.ratio() * promised.ratio() / bound);
        if to >= 1.0 {
            return None;
        }
        let mended = Table::new(&graph.with_availability(need, Availability::from_ratio(to)));
        (promised.ratio() <= mended.bound(service) + ROUNDING).then_some((graph.name(need)?, to))
    })
}

/// To a thousandth of a per cent.
fn round_down(ratio: f64) -> f64 {
    ((ratio + ROUNDING) * 1e5).floor() / 1e5
}

fn round_up(ratio: f64) -> f64 {
    (((ratio - ROUNDING) * 1e5).ceil() / 1e5).min(1.0)
}
