//! The call graph.

use std::time::Duration;

use mainstay_base::{AppId, Availability, Latency};

/// Who calls whom, with what each promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub(super) services: Vec<Service>,
    pub(super) calls: Vec<Edge>,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: AppId,
    /// What it is.
    pub role: Role,
    /// The latency it promises, where it does.
    pub latency: Option<Latency>,
    /// The availability it promises, where it does.
    pub availability: Option<Availability>,
    /// How many copies run at least.
    pub replicas: u32,
}

/// What a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The front door: requests from outside enter here.
    Door,
    /// An app that is run.
    App,
    /// A service that is only called.
    External,
}

/// A synchronous call that a service makes to answer a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Who calls.
    pub caller: AppId,
    /// Who is called.
    pub target: AppId,
    /// What stands in when there is no answer.
    pub substitute: Substitute,
    /// How often it is made for one request, one after another.
    pub per_request: u32,
    /// Whether it is made at the same time as the other parallel calls.
    pub parallel: bool,
    /// Most attempts, the first among them.
    pub attempts: u32,
    /// The shortest wait before the second attempt.
    pub retry_wait: Duration,
    /// Share of calls that may be retried.
    pub budget_ratio: f64,
    /// How long an attempt may take.
    pub attempt_timeout: Duration,
    /// How long the call may take.
    pub call_timeout: Duration,
}

/// What stands in when there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Substitute {
    /// Nothing: the caller fails as well.
    Nothing,
    /// A fixed answer.
    Answer,
    /// Another service.
    Service(AppId),
}

/// A call between services of the graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub(super) caller: usize,
    pub(super) target: usize,
    /// Where another service stands in.
    pub(super) other: Option<usize>,
    pub(super) call: Call,
}

impl Graph {
    /// The graph of these services and calls. Calls from or to names that are not among the services are left out, and so
    /// are those of a service to itself: they need nothing but the service.
    pub fn new(services: Vec<Service>, calls: Vec<Call>) -> Self {
        let index = |name: &AppId| services.iter().position(|service| service.name == *name);
        let edge = |call: Call| {
            let (caller, target) = (index(&call.caller)?, index(&call.target)?);
            let other = match &call.substitute {
                Substitute::Service(name) => Some(index(name)?),
                Substitute::Nothing | Substitute::Answer => None,
            };
            (caller != target).then_some(Edge {
                caller,
                target,
                other,
                call,
            })
        };
        let calls = calls.into_iter().filter_map(edge).collect();
        Self { services, calls }
    }

    /// The calls of a service.
    pub(super) fn calls_of(&self, caller: usize) -> impl Iterator<Item = &Edge> {
        self.calls.iter().filter(move |edge| edge.caller == caller)
    }

    pub(super) fn service(&self, index: usize) -> Option<&Service> {
        self.services.get(index)
    }

    /// The name of a service of this graph.
    pub(super) fn name(&self, index: usize) -> Option<AppId> {
        self.service(index).map(|service| service.name.clone())
    }

    /// All services, each after those that it calls; within a cycle of calls in any order.
    pub(super) fn callees_first(&self) -> Vec<usize> {
        let targets: Vec<Vec<usize>> = (0..self.services.len())
            .map(|service| {
                self.calls_of(service)
                    .flat_map(|edge| [Some(edge.target), edge.other])
                    .flatten()
                    .collect()
            })
            .collect();
        let mut seen = vec![false; self.services.len()];
        let mut done = Vec::with_capacity(self.services.len());
        for start in 0..self.services.len() {
            // Depth first without recursion: each service with the index of the call that is followed next.
            let mut path = vec![(start, 0)];
            while let Some((service, next)) = path.pop() {
                if next == 0 && std::mem::replace(seen.get_mut(service).unwrap_or(&mut true), true) {
                    continue;
                }
                match targets.get(service).and_then(|targets| targets.get(next)) {
                    Some(target) => path.extend([(service, next + 1), (*target, 0)]),
                    None => done.push(service),
                }
            }
        }
        done
    }

    /// The same graph with a fixed answer in the place of `changed` when that fails.
    pub(super) fn with_fallback(&self, changed: &Edge) -> Self {
        let mut graph = self.clone();
        for edge in graph.calls.iter_mut().filter(|edge| *edge == changed) {
            edge.other = None;
            edge.call.substitute = Substitute::Answer;
        }
        graph
    }

    /// The same graph with another promise of one service.
    pub(super) fn with_availability(&self, service: usize, availability: Availability) -> Self {
        let mut graph = self.clone();
        if let Some(service) = graph.services.get_mut(service) {
            service.availability = Some(availability);
        }
        graph
    }
}
