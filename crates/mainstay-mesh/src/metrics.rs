//! The metrics of the data plane: one table, the counters behind it, and the way to read them all.

use std::sync::Arc;

use mainstay_base::metric::{Collect, Counter, Descriptor, Histogram, Kind, Visitor};
use mainstay_base::{Clock, Priority};
use mainstay_policy::Outcome;
use mainstay_policy::breaker::BreakerState;
use mainstay_policy::gate::Refusal;

use crate::Reason;
use crate::edge::Edge;
use crate::mesh::Inner;

macro_rules! descriptors {
    ($($name:ident = $kind:ident $metric:literal [$($label:literal),*] $help:literal;)*) => {
        $(static $name: Descriptor = Descriptor {
            name: $metric,
            help: $help,
            kind: Kind::$kind,
            labels: &[$($label),*],
        };)*
        /// Every metric of the data plane.
        pub static METRIC_TABLE: &[&Descriptor] = &[$(&$name),*];
    };
}

descriptors! {
    CALLS = Counter "mainstay_calls_total" ["caller", "target", "outcome"]
        "Calls by how they ended.";
    CALL_DURATION = Histogram "mainstay_call_duration_seconds" ["caller", "target"]
        "Time from a call's arrival to the head of its answer or to its error.";
    CALL_ERRORS = Counter "mainstay_call_errors_total" ["caller", "target", "reason"]
        "Calls that got no answer of the callee, by reason.";
    ATTEMPTS = Counter "mainstay_attempts_total" ["caller", "target"]
        "Requests sent, first attempts, retries and hedges alike.";
    RETRIES = Counter "mainstay_retries_total" ["caller", "target"]
        "Attempts after a failed one.";
    RETRY_BUDGET = Gauge "mainstay_retry_budget" ["caller", "target"]
        "Retries that could be made now.";
    HEDGES = Counter "mainstay_hedges_total" ["caller", "target"]
        "Attempts made because the first one was slow.";
    FALLBACKS = Counter "mainstay_fallbacks_total" ["caller", "target"]
        "Calls answered by a fallback.";
    BREAKER_STATE = Gauge "mainstay_breaker_state" ["caller", "target", "state"]
        "1 for the state that the breaker is in.";
    BREAKER_TRANSITIONS = Counter "mainstay_breaker_transitions_total" ["caller", "target", "state"]
        "Changes of the breaker into a state.";
    SHED = Counter "mainstay_shed_total" ["target", "priority", "reason"]
        "Calls turned away to protect the callee.";
    WAITING = Gauge "mainstay_queue_waiting" ["target"]
        "Calls that wait for their turn.";
    IN_FLIGHT = Gauge "mainstay_in_flight" ["target", "replica"]
        "Requests and streams under way.";
    LIMIT = Gauge "mainstay_concurrency_limit" ["target", "replica"]
        "Requests that the replica is given at a time.";
    EJECTED = Gauge "mainstay_replica_ejected" ["target", "replica"]
        "1 while the replica is left out for failing.";
    EJECTIONS = Counter "mainstay_replica_ejections_total" ["target"]
        "Times that a replica was left out for failing.";
    SPANS_DROPPED = Counter "mainstay_spans_dropped_total" []
        "Spans lost because their exporter did not keep up.";
}

/// What an edge counts.
#[derive(Debug, Default)]
pub(crate) struct EdgeStats {
    calls: [Counter; OUTCOMES.len()],
    errors: [Counter; Reason::ALL.len()],
    transitions: [Counter; STATES.len()],
    pub(crate) duration: Histogram,
    pub(crate) attempts: Counter,
    pub(crate) retries: Counter,
    pub(crate) hedges: Counter,
    pub(crate) fallbacks: Counter,
}

/// What a callee counts.
#[derive(Debug, Default)]
pub(crate) struct CalleeStats {
    shed: [[Counter; REFUSALS.len()]; Priority::ALL.len()],
    pub(crate) ejections: Counter,
}

/// Outcomes in the order of their counters.
const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Success, "success"),
    (Outcome::Slow, "slow"),
    (Outcome::Failure, "failure"),
    (Outcome::Rejected, "rejected"),
    (Outcome::Cancelled, "cancelled"),
];

/// Breaker states in the order of their counters.
const STATES: [(BreakerState, &str); 4] = [
    (BreakerState::Closed, "closed"),
    (BreakerState::Open, "open"),
    (BreakerState::HalfOpen, "half_open"),
    (BreakerState::Ramping, "ramping"),
];

/// Why calls are turned away, in the order of the counters.
const REFUSALS: [&str; 3] = ["queue_full", "waited_too_long", "displaced"];

impl EdgeStats {
    pub(crate) fn ended(&self, outcome: Outcome) {
        let index = OUTCOMES.iter().position(|(of, _)| *of == outcome);
        count(&self.calls, index);
    }

    pub(crate) fn failed(&self, reason: Reason) {
        count(&self.errors, Reason::ALL.iter().position(|of| *of == reason));
    }

    pub(crate) fn changed(&self, state: BreakerState) {
        count(&self.transitions, STATES.iter().position(|(of, _)| *of == state));
    }

    /// Calls that ended, whatever their end.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.iter().map(Counter::get).sum()
    }

    /// Calls that got no good answer.
    pub(crate) fn failures(&self) -> u64 {
        let bad = |outcome: Outcome| matches!(outcome, Outcome::Failure | Outcome::Rejected);
        let counted = OUTCOMES.iter().zip(&self.calls);
        counted
            .filter(|((outcome, _), _)| bad(*outcome))
            .map(|(_, counter)| counter.get())
            .sum()
    }
}

impl CalleeStats {
    pub(crate) fn turned_away(&self, priority: Priority, refusal: Refusal) {
        let reason = match refusal {
            Refusal::QueueFull(_) => 0,
            Refusal::WaitedTooLong(_) => 1,
            Refusal::Displaced(_) => 2,
        };
        if let Some(of_priority) = self.shed.get(priority as usize) {
            count(of_priority, Some(reason));
        }
    }

    /// Calls turned away.
    pub(crate) fn shed(&self) -> u64 {
        self.shed.iter().flatten().map(Counter::get).sum()
    }
}

fn count(counters: &[Counter], index: Option<usize>) {
    if let Some(counter) = index.and_then(|index| counters.get(index)) {
        counter.increment();
    }
}

/// Shows the present values.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) Arc<Inner>);

impl Collect for Metrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        let edges = self.0.directory.entries().edges();
        collect_calls(&edges, visitor);
        collect_attempts(&edges, &self.0, visitor);
        collect_breakers(&edges, visitor);
        collect_callees(&self.0, visitor);
        visitor.value(&SPANS_DROPPED, &[], self.0.spans.dropped() as f64);
    }
}

/// Shows one figure of each edge.
fn per_edge(
    edges: &[Arc<Edge>],
    visitor: &mut dyn Visitor,
    descriptor: &'static Descriptor,
    value: impl Fn(&Edge) -> f64,
) {
    for edge in edges {
        visitor.value(descriptor, &edge.names(), value(edge));
    }
}

fn collect_calls(edges: &[Arc<Edge>], visitor: &mut dyn Visitor) {
    for edge in edges {
        let [caller, target] = edge.names();
        for ((_, outcome), counter) in OUTCOMES.iter().zip(&edge.stats.calls) {
            visitor.value(&CALLS, &[caller, target, outcome], counter.get() as f64);
        }
    }
    for edge in edges {
        visitor.histogram(&CALL_DURATION, &edge.names(), &edge.stats.duration);
    }
    for edge in edges {
        let [caller, target] = edge.names();
        for (reason, counter) in Reason::ALL.iter().zip(&edge.stats.errors) {
            visitor.value(
                &CALL_ERRORS,
                &[caller, target, reason.as_str()],
                counter.get() as f64,
            );
        }
    }
}

fn collect_attempts(edges: &[Arc<Edge>], mesh: &Inner, visitor: &mut dyn Visitor) {
    let now = mesh.clock.now();
    per_edge(edges, visitor, &ATTEMPTS, |edge| edge.stats.attempts.get() as f64);
    per_edge(edges, visitor, &RETRIES, |edge| edge.stats.retries.get() as f64);
    per_edge(edges, visitor, &RETRY_BUDGET, |edge| {
        edge.state.budget.balance(now)
    });
    per_edge(edges, visitor, &HEDGES, |edge| edge.stats.hedges.get() as f64);
    per_edge(edges, visitor, &FALLBACKS, |edge| {
        edge.stats.fallbacks.get() as f64
    });
}

fn collect_breakers(edges: &[Arc<Edge>], visitor: &mut dyn Visitor) {
    for edge in edges {
        let [caller, target] = edge.names();
        let present = edge.state.breaker.state();
        for (state, word) in STATES {
            let is_present = f64::from(u8::from(state == present));
            visitor.value(&BREAKER_STATE, &[caller, target, word], is_present);
        }
    }
    for edge in edges {
        let [caller, target] = edge.names();
        for ((_, word), counter) in STATES.iter().zip(&edge.stats.transitions) {
            visitor.value(
                &BREAKER_TRANSITIONS,
                &[caller, target, word],
                counter.get() as f64,
            );
        }
    }
}

fn collect_callees(mesh: &Inner, visitor: &mut dyn Visitor) {
    let now = mesh.clock.now();
    let entries = mesh.directory.entries();
    let callees: Vec<_> = entries.callees.values().collect();
    for callee in &callees {
        for (priority, of_priority) in Priority::ALL.iter().zip(&callee.state.stats.shed) {
            for (reason, counter) in REFUSALS.iter().zip(of_priority) {
                let labels = [callee.app.as_str(), priority.as_str(), reason];
                visitor.value(&SHED, &labels, counter.get() as f64);
            }
        }
    }
    for callee in &callees {
        visitor.value(&WAITING, &[callee.app.as_str()], callee.gate.waiting() as f64);
    }
    let replicas: Vec<_> = callees
        .iter()
        .flat_map(|callee| callee.state.replicas.load().to_vec())
        .collect();
    let mut per_replica = |descriptor, value: &dyn Fn(&crate::replica::Replica) -> f64| {
        for replica in &replicas {
            let labels = [replica.id.app.as_str(), &replica.id.index.to_string()];
            visitor.value(descriptor, &labels, value(replica));
        }
    };
    per_replica(&IN_FLIGHT, &|replica| replica.open_exchanges() as f64);
    per_replica(&LIMIT, &|replica| f64::from(replica.limiter.limit()));
    per_replica(&EJECTED, &|replica| f64::from(u8::from(replica.is_ejected(now))));
    for callee in &callees {
        visitor.value(
            &EJECTIONS,
            &[callee.app.as_str()],
            callee.state.stats.ejections.get() as f64,
        );
    }
}
