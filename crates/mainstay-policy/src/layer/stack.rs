//! All layers in the order of Mainstay's own call path.

use tower_layer::{Layer, Stack};

use super::{BreakerLayer, LimitLayer, RetryLayer, TimeoutLayer, Timer};
use crate::{EdgePolicy, TargetPolicy};

type Inner<T, C> = Stack<TimeoutLayer<T>, RetryLayer<T, C>>;
type Outer<T, C, P> = Stack<LimitLayer<T, C, P>, BreakerLayer<T, C>>;

/// Protects one callee on the policies derived from its SLA: breaker, limit, retries, attempt timeout. Add
/// [`super::HedgeLayer`] inside and [`super::FallbackLayer`] outside where you want them.
#[derive(Clone, Debug)]
pub struct Resilience<T, C, P> {
    stack: Stack<Inner<T, C>, Outer<T, C, P>>,
}

impl<T: Timer, C: Clone, P> Resilience<T, C, P> {
    /// The stack on these policies. `classify` judges answers, `priority` tells a request's class.
    pub fn new(edge: &EdgePolicy, target: &TargetPolicy, timer: T, classify: C, priority: P) -> Self {
        let timeout = TimeoutLayer::new(edge.attempt_timeout, timer.clone());
        let retry = RetryLayer::new(
            edge.retry.clone(),
            &edge.budget,
            edge.call_timeout,
            timer.clone(),
            classify.clone(),
        );
        let limit = LimitLayer::new(
            target.limit.clone(),
            target.queue.clone(),
            edge.call_timeout,
            timer.clone(),
            classify.clone(),
            priority,
        );
        let breaker = BreakerLayer::new(edge.breaker.clone(), edge.slow_after, timer, classify);
        Self {
            stack: Stack::new(Stack::new(timeout, retry), Stack::new(limit, breaker)),
        }
    }
}

impl<S, T, C, P> Layer<S> for Resilience<T, C, P>
where
    Stack<Inner<T, C>, Outer<T, C, P>>: Layer<S>,
{
    type Service = <Stack<Inner<T, C>, Outer<T, C, P>> as Layer<S>>::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.stack.layer(inner)
    }
}
