//! The life of a good call through every mechanism, as the call path of the mesh makes it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Clock, Deadline, Rng, SystemClock};
use mainstay_policy::Outcome;
use mainstay_policy::balance::{PeakEwma, pick_two};
use mainstay_policy::breaker::{Breaker, BreakerPolicy, Trip, Verdict};
use mainstay_policy::budget::{BudgetPolicy, RetryBudget};
use mainstay_policy::ejection::{Ejection, EjectionPolicy, Standing};
use mainstay_policy::gate::{Gate, QueuePolicy};
use mainstay_policy::limiter::{LimitPolicy, Limiter};

/// One edge with two replicas.
pub(crate) struct Pipeline {
    clock: SystemClock,
    breaker: Breaker,
    budget: RetryBudget,
    gate: Arc<Gate>,
    replicas: [Replica; 2],
}

struct Replica {
    ejection: Ejection,
    limiter: Limiter,
    ewma: PeakEwma,
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

impl Pipeline {
    pub(crate) fn new() -> Self {
        let clock = SystemClock::new();
        let now = clock.now();
        let ejection = EjectionPolicy {
            consecutive_failures: 5,
            min_success_ratio: 0.8,
            min_calls: 20,
            window: 10 * SECOND,
            eject_min: 5 * SECOND,
            eject_max: 300 * SECOND,
        };
        let limit = LimitPolicy {
            initial: 20,
            min: 1,
            max: 200,
            latency: 100 * MS,
        };
        let replica = || Replica {
            ejection: Ejection::new(&ejection),
            limiter: Limiter::new(limit.clone(), now),
            ewma: PeakEwma::new(),
        };
        let breaker = BreakerPolicy {
            trip: Trip::FailureRatio {
                min_calls: 20,
                ratio: 0.5,
            },
            window: 10 * SECOND,
            open_min: SECOND,
            open_max: 30 * SECOND,
            ramp: 10 * SECOND,
        };
        let budget = BudgetPolicy {
            ratio: 0.2,
            min_per_second: 10.0,
            window: 10 * SECOND,
        };
        let queue = QueuePolicy {
            max_waiting: 100,
            target: 5 * MS,
            interval: 100 * MS,
        };
        Self {
            breaker: Breaker::new(breaker),
            budget: RetryBudget::new(&budget, now),
            gate: Gate::new(queue, 40, Arc::new(clock)),
            replicas: [replica(), replica()],
            clock,
        }
    }

    /// Deadline, breaker, budget, gate, pick of a replica, its limit; then everything is told how it went. Two readings of
    /// the clock.
    pub(crate) fn call(&self, rng: &mut impl Rng) -> bool {
        let began = self.clock.now();
        let deadline = Deadline::after(began, SECOND);
        let (verdict, _) = self.breaker.ask(began, rng);
        if matches!(verdict, Verdict::Refuse { .. }) || deadline.is_expired(began) {
            return false;
        }
        self.budget.deposit(began);
        let Some(permit) = self.gate.try_enter() else {
            return false;
        };
        let cost = |index: usize| {
            self.replicas.get(index).map_or(f64::MAX, |replica| {
                replica.ewma.cost(replica.limiter.in_flight(), MS, began)
            })
        };
        let picked = pick_two(self.replicas.len(), rng, cost).and_then(|index| self.replicas.get(index));
        let Some(replica) = picked else { return false };
        if replica.ejection.standing(began) != Standing::In || !replica.limiter.try_start() {
            return false;
        }
        // Here the attempt would be made.
        black_box(&permit);
        let now = self.clock.now();
        let latency = now.since(began);
        if replica.limiter.finish(latency, Outcome::Success, now) {
            let capacity = self.replicas.iter().map(|replica| replica.limiter.limit()).sum();
            self.gate.set_capacity(capacity);
        }
        replica.ewma.record(latency, now);
        replica.ejection.record(Outcome::Success, || true, now, rng);
        self.breaker.record(verdict, Outcome::Success, now, rng);
        drop(permit);
        true
    }
}
