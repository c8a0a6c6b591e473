//! Tries again, within a budget.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Deadline, Retryability};
use tower_layer::Layer;

use super::{BoxFuture, Callee, Classify, Protect, Protected, SharedRng, Timer};
use crate::budget::{BudgetPolicy, RetryBudget};
use crate::retry::{Decision, Ended, RetryPolicy};

/// Tries again, within a budget; the error is that of the last attempt. Every service of one layer shares the budget.
///
/// Only for calls that may be made twice: put calls that may not past this layer.
#[derive(Clone, Debug)]
pub struct RetryLayer<T, C> {
    shared: Arc<Shared>,
    timer: T,
    classify: C,
}

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    budget: RetryBudget,
    call_timeout: Duration,
    rng: SharedRng,
}

impl<T: Timer, C> RetryLayer<T, C> {
    /// Retries on `policy` and `budget`; no attempt begins later than `call_timeout` after the first.
    pub fn new(
        policy: RetryPolicy,
        budget: &BudgetPolicy,
        call_timeout: Duration,
        timer: T,
        classify: C,
    ) -> Self {
        let budget = RetryBudget::new(budget, timer.now());
        let shared = Shared {
            policy,
            budget,
            call_timeout,
            rng: SharedRng::new(0x4E74),
        };
        Self {
            shared: Arc::new(shared),
            timer,
            classify,
        }
    }
}

impl<S, T: Clone, C: Clone> Layer<S> for RetryLayer<T, C> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

impl<S, T, C, R> Protect<S, R> for RetryLayer<T, C>
where
    S: Callee<R>,
    S::Response: Send,
    R: Clone + Send + 'static,
    T: Timer,
    C: Classify<S::Response>,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let RetryLayer {
            shared,
            timer,
            classify,
        } = self.clone();
        Box::pin(async move {
            let began = timer.now();
            let deadline = Deadline::after(began, shared.call_timeout);
            shared.budget.deposit(began);
            let mut attempts = 0;
            loop {
                let result = callee.call(request.clone()).await.map_err(Into::into);
                attempts += 1;
                let now = timer.now();
                let ended = Ended {
                    outcome: classify.classify(&result),
                    retryability: Retryability::IfIdempotent,
                    idempotent: true,
                    attempts,
                    left: deadline.left(now),
                };
                let Decision::Retry { wait } = shared.policy.decide(ended, &mut shared.rng.draw()) else {
                    return result;
                };
                if !shared.budget.withdraw(now) {
                    return result;
                }
                timer.sleep(wait).await;
                std::future::poll_fn(|context| callee.poll_ready(context))
                    .await
                    .map_err(Into::into)?;
            }
        })
    }
}
