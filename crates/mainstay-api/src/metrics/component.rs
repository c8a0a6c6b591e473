//! What the operations of components come to.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Fault;
use mainstay_base::metric::{Counter, Descriptor, Histogram, Kind, Visitor};

pub(super) static OPERATIONS_TOTAL: Descriptor = Descriptor {
    name: "mainstay_component_operations_total",
    help: "Operations of state, lock, configuration and secret components, by how they ended.",
    kind: Kind::Counter,
    labels: &["component", "type", "operation", "outcome"],
};
pub(super) static OPERATION_SECONDS: Descriptor = Descriptor {
    name: "mainstay_component_operation_seconds",
    help: "How long operations of components take.",
    kind: Kind::Histogram,
    labels: &["component", "type", "operation"],
};

/// An operation of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Get,
    GetBulk,
    Set,
    Delete,
    DeleteBulk,
    Transaction,
    Query,
    TryLock,
    Unlock,
    Subscribe,
}

impl Measured {
    const ALL: [Self; 10] = [
        Self::Get,
        Self::GetBulk,
        Self::Set,
        Self::Delete,
        Self::DeleteBulk,
        Self::Transaction,
        Self::Query,
        Self::TryLock,
        Self::Unlock,
        Self::Subscribe,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetBulk => "get_bulk",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::DeleteBulk => "delete_bulk",
            Self::Transaction => "transaction",
            Self::Query => "query",
            Self::TryLock => "try_lock",
            Self::Unlock => "unlock",
            Self::Subscribe => "subscribe",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Well.
    Ok,
    /// It was asked for what cannot be: another `ETag`, a wrong key, a query that makes no sense.
    Refused,
    /// The component could not do it, or not in time.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Failed];

    /// That of an operation whose error is somebody's fault.
    pub(crate) const fn of(fault: Option<Fault>) -> Self {
        match fault {
            None => Self::Ok,
            Some(Fault::Caller) => Self::Refused,
            Some(Fault::Callee | Fault::Runtime) => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Default)]
struct PerOperation {
    outcomes: [Counter; Outcome::ALL.len()],
    durations: Histogram,
}

#[derive(Debug)]
struct Cells {
    component: String,
    kind: String,
    operations: [PerOperation; Measured::ALL.len()],
}

/// Counts the operations of one component. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Cells>);

impl Meter {
    pub(super) fn new(component: &str, kind: &str) -> Self {
        Self(Arc::new(Cells {
            component: component.to_owned(),
            kind: kind.to_owned(),
            operations: Default::default(),
        }))
    }

    /// Counts one operation.
    pub(crate) fn record(&self, operation: Measured, outcome: Outcome, duration: Duration) {
        let Some(cells) = self.0.operations.get(operation as usize) else {
            return;
        };
        if let Some(counter) = cells.outcomes.get(outcome as usize) {
            counter.increment();
        }
        cells.durations.record(duration);
    }

    /// The operations that were asked for at least once.
    fn used(&self) -> impl Iterator<Item = (&'static str, &PerOperation)> {
        let operations = Measured::ALL.into_iter().zip(&self.0.operations);
        operations
            .filter(|(_, cells)| cells.outcomes.iter().any(|outcome| outcome.get() > 0))
            .map(|(operation, cells)| (operation.as_str(), cells))
    }

    pub(super) fn collect_outcomes(&self, visitor: &mut dyn Visitor) {
        for (operation, cells) in self.used() {
            for (outcome, count) in Outcome::ALL.into_iter().zip(&cells.outcomes) {
                let labels = [&*self.0.component, &*self.0.kind, operation, outcome.as_str()];
                visitor.value(&OPERATIONS_TOTAL, &labels, count.get() as f64);
            }
        }
    }

    pub(super) fn collect_durations(&self, visitor: &mut dyn Visitor) {
        for (operation, cells) in self.used() {
            let labels = [&*self.0.component, &*self.0.kind, operation];
            visitor.histogram(&OPERATION_SECONDS, &labels, &cells.durations);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Seen(Vec<String>);

    impl Visitor for Seen {
        fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
            self.0.push(format!("{}{labels:?} {value}", descriptor.name));
        }

        fn histogram(&mut self, descriptor: &'static Descriptor, labels: &[&str], histogram: &Histogram) {
            let count: u64 = histogram.counts().iter().sum();
            self.0.push(format!("{}{labels:?} {count}", descriptor.name));
        }
    }

    #[test]
    fn what_was_never_asked_for_is_not_shown() {
        let meter = Meter::new("statestore", "state.mainstay");
        meter.record(Measured::Set, Outcome::Ok, Duration::from_millis(1));
        meter.record(
            Measured::Set,
            Outcome::of(Some(Fault::Caller)),
            Duration::from_millis(1),
        );
        let mut seen = Seen(Vec::new());
        meter.collect_outcomes(&mut seen);
        meter.collect_durations(&mut seen);
        let name = r#"["statestore", "state.mainstay", "set""#;
        let expected = [
            format!(r#"mainstay_component_operations_total{name}, "ok"] 1"#),
            format!(r#"mainstay_component_operations_total{name}, "refused"] 1"#),
            format!(r#"mainstay_component_operations_total{name}, "failed"] 0"#),
            format!("mainstay_component_operation_seconds{name}] 2"),
        ];
        assert_eq!(seen.0, expected);
    }

    #[test]
    fn every_operation_and_outcome_has_its_place() {
        for (place, operation) in Measured::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
