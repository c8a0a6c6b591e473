//! Stops asking a service that fails.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use tower_layer::Layer;

use super::{BoxFuture, BreakerOpen, Callee, Classify, Protect, Protected, SharedRng, Timer};
use crate::Outcome;
use crate::breaker::{Breaker, BreakerPolicy, BreakerState, Verdict};

/// Stops asking a service that fails; the error is [`BreakerOpen`] then. Every service of one layer shares the breaker.
#[derive(Clone, Debug)]
pub struct BreakerLayer<T, C> {
    shared: Arc<Shared>,
    timer: T,
    classify: C,
}

#[derive(Debug)]
struct Shared {
    breaker: Breaker,
    rng: SharedRng,
    slow_after: Duration,
}

impl<T: Timer, C> BreakerLayer<T, C> {
    /// A closed breaker. A good answer later than `slow_after` counts as failed.
    pub fn new(policy: BreakerPolicy, slow_after: Duration, timer: T, classify: C) -> Self {
        let shared = Shared {
            breaker: Breaker::new(policy),
            rng: SharedRng::new(0xB4EA),
            slow_after,
        };
        Self {
            shared: Arc::new(shared),
            timer,
            classify,
        }
    }

    /// Where the breaker stands.
    pub fn state(&self) -> BreakerState {
        self.shared.breaker.state()
    }
}

impl<S, T: Clone, C: Clone> Layer<S> for BreakerLayer<T, C> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

/// Tells the breaker how the call ended; that it was cancelled, when dropped before.
struct Recorder<T: Timer> {
    shared: Arc<Shared>,
    timer: T,
    verdict: Verdict,
    began: Timestamp,
    outcome: Outcome,
}

impl<T: Timer> Drop for Recorder<T> {
    fn drop(&mut self) {
        let now = self.timer.now();
        let slow = self.outcome == Outcome::Success && now.since(self.began) > self.shared.slow_after;
        let outcome = if slow { Outcome::Slow } else { self.outcome };
        self.shared
            .breaker
            .record(self.verdict, outcome, now, &mut self.shared.rng.draw());
    }
}

impl<S, T, C, R> Protect<S, R> for BreakerLayer<T, C>
where
    S: Callee<R>,
    R: Send + 'static,
    T: Timer,
    C: Classify<S::Response>,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let BreakerLayer {
            shared,
            timer,
            classify,
        } = self.clone();
        Box::pin(async move {
            let began = timer.now();
            let (verdict, _) = shared.breaker.ask(began, &mut shared.rng.draw());
            if let Verdict::Refuse { retry_after } = verdict {
                return Err(BreakerOpen { retry_after }.into());
            }
            let mut recorder = Recorder {
                shared,
                timer,
                verdict,
                began,
                outcome: Outcome::Cancelled,
            };
            let result = callee.call(request).await.map_err(Into::into);
            recorder.outcome = classify.classify(&result);
            result
        })
    }
}
