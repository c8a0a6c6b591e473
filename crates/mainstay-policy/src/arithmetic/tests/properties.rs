//! What holds for every graph.

use proptest::prelude::*;

use super::*;
use crate::arithmetic::availability::Table;
use crate::arithmetic::graph::Edge;

/// A graph without circles: each service calls later ones only.
fn small_graph() -> impl Strategy<Value = Graph> {
    let calls = prop::collection::vec((0_usize..6, 1_usize..6, 0_usize..12, 1_u32..4), 0..12);
    let availabilities = prop::collection::vec(900_u32..=1000, 7);
    (calls, availabilities).prop_map(|(calls, availabilities)| {
        let name = |index: usize| format!("s{index}");
        let services = availabilities.iter().enumerate().map(|(index, permille)| {
            let mut service = service(&name(index), Role::App);
            service.availability = Some(mainstay_base::Availability::from_ratio(
                f64::from(*permille) / 1000.0,
            ));
            service
        });
        let calls = calls.into_iter().map(|(caller, distance, substitute, attempts)| {
            let target = (caller + distance).min(6);
            let mut call = call(&name(caller), &name(target));
            call.attempts = attempts;
            call.substitute = match substitute {
                0..6 => Substitute::Nothing,
                6..8 => Substitute::Answer,
                other => Substitute::Service(id(&name((caller + other - 7).min(6)))),
            };
            call
        });
        Graph::new(services.collect(), calls.collect())
    })
}

/// Which services answer when those in `down` have failed.
fn up(graph: &Graph, down: &[bool]) -> Vec<bool> {
    let mut up: Vec<bool> = down.iter().map(|down| !down).collect();
    loop {
        let before = up.clone();
        for edge in &graph.calls {
            let answered = up[edge.target]
                || edge.call.substitute == Substitute::Answer
                || edge.other.is_some_and(|other| up[other]);
            up[edge.caller] &= answered;
        }
        if up == before {
            return up;
        }
    }
}

/// The largest product of attempts over all paths from `service`, by walking them all.
fn worst_product(graph: &Graph, service: usize) -> f64 {
    let onwards = |edge: &Edge| f64::from(edge.call.attempts) * worst_product(graph, edge.target);
    graph.calls_of(service).map(onwards).fold(1.0, f64::max)
}

proptest! {
    #[test]
    fn a_need_is_what_alone_brings_a_service_down(graph in small_graph()) {
        let table = Table::new(&graph);
        for failed in 0..graph.services.len() {
            let down: Vec<bool> = (0..graph.services.len()).map(|index| index == failed).collect();
            let up = up(&graph, &down);
            for service in (0..graph.services.len()).filter(|service| *service != failed) {
                prop_assert_eq!(table.needs(service).any(|need| need == failed), !up[service]);
            }
        }
    }

    #[test]
    fn the_bound_is_never_below_the_truth_and_meets_it_without_stand_ins(graph in small_graph()) {
        let table = Table::new(&graph);
        let count = graph.services.len();
        // The truth: every combination of failures with its probability, given each service's own share.
        let own: Vec<f64> = (0..count).map(|service| table.own(service)).collect();
        let mut truth = vec![0.0; count];
        for bits in 0..1_u32 << count {
            let down: Vec<bool> = (0..count).map(|service| bits & (1 << service) != 0).collect();
            let share = |service: usize| if down[service] { 1.0 - own[service] } else { own[service] };
            let probability: f64 = (0..count).map(share).product();
            let up = up(&graph, &down);
            for service in (0..count).filter(|service| up[*service]) {
                truth[service] += probability;
            }
        }
        let stand_ins = graph.calls.iter().any(|edge| edge.other.is_some());
        for service in 0..count {
            let all = table.bound(service) * own[service];
            prop_assert!(all >= truth[service] - 1e-9);
            prop_assert!(stand_ins || (all - truth[service]).abs() < 1e-9);
        }
    }

    #[test]
    fn promising_what_can_be_held_holds(graph in small_graph()) {
        for finding in analyse(&graph).findings {
            let Finding::Availability { service, ways, .. } = finding else { continue };
            let Some(Way::PromiseAvailability(lower)) = ways.first() else { panic!("a way out") };
            let mut mended = graph.clone();
            for candidate in mended.services.iter_mut().filter(|candidate| candidate.name == service) {
                candidate.availability = Some(*lower);
            }
            let still = analyse(&mended).findings.into_iter().any(|finding| {
                matches!(finding, Finding::Availability { service: broken, .. } if broken == service)
            });
            prop_assert!(!still);
        }
    }

    #[test]
    fn a_raised_promise_holds(graph in small_graph()) {
        for finding in analyse(&graph).findings {
            let Finding::Availability { service, ways, .. } = finding else { continue };
            for way in ways {
                let Way::RaiseAvailability { target, to } = way else { continue };
                let mut mended = graph.clone();
                for candidate in mended.services.iter_mut().filter(|candidate| candidate.name == target) {
                    candidate.availability = Some(to);
                }
                let still = analyse(&mended).findings.into_iter().any(|finding| {
                    matches!(finding, Finding::Availability { service: broken, .. } if broken == service)
                });
                prop_assert!(!still, "{service} needs {target} at {to}");
            }
        }
    }

    #[test]
    fn amplification_is_the_worst_of_all_paths(graph in small_graph()) {
        let worst = (0..graph.services.len()).map(|service| worst_product(&graph, service)).fold(1.0, f64::max);
        let found = analyse(&graph).amplification.map_or(1.0, |found| found.worst);
        prop_assert!((found - worst).abs() < 1e-9);
    }
}
