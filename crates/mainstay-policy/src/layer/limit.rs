//! As many calls at a time as the service can take, a short queue, and nobody in it for long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Priority, Timestamp};
use tower_layer::Layer;

use super::{BoxFuture, Callee, Classify, Either, Protect, Protected, Shed, Timer, race};
use crate::Outcome;
use crate::gate::{Gate, Permit, QueuePolicy};
use crate::limiter::{LimitPolicy, Limiter};

/// Limits the calls under way to what the service can take, which it learns from their latency; the error of those that
/// are too many is [`Shed`]. Every service of one layer shares the limit and the queue.
#[derive(Clone, Debug)]
pub struct LimitLayer<T, C, P> {
    shared: Arc<Shared>,
    timer: T,
    classify: C,
    priority: P,
}

#[derive(Debug)]
struct Shared {
    limiter: Limiter,
    gate: Arc<Gate>,
    max_wait: Duration,
}

impl<T: Timer, C, P> LimitLayer<T, C, P> {
    /// Limits on `limit`; a call waits at most `max_wait`. `priority` tells a request's class.
    pub fn new(
        limit: LimitPolicy,
        queue: QueuePolicy,
        max_wait: Duration,
        timer: T,
        classify: C,
        priority: P,
    ) -> Self {
        let limiter = Limiter::new(limit, timer.now());
        let gate = Gate::new(queue, limiter.limit(), Arc::new(timer.clone()));
        Self {
            shared: Arc::new(Shared {
                limiter,
                gate,
                max_wait,
            }),
            timer,
            classify,
            priority,
        }
    }

    /// The present limit.
    pub fn limit(&self) -> u32 {
        self.shared.limiter.limit()
    }
}

impl<S, T: Clone, C: Clone, P: Clone> Layer<S> for LimitLayer<T, C, P> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

/// A call that is under way: teaches the limiter when it ends, also when it is dropped.
struct UnderWay<T: Timer> {
    shared: Arc<Shared>,
    timer: T,
    began: Timestamp,
    outcome: Outcome,
    _permit: Permit,
}

impl<T: Timer> Drop for UnderWay<T> {
    fn drop(&mut self) {
        let now = self.timer.now();
        if self
            .shared
            .limiter
            .finish(now.since(self.began), self.outcome, now)
        {
            self.shared.gate.set_capacity(self.shared.limiter.limit());
        }
    }
}

async fn enter<T: Timer>(shared: Arc<Shared>, timer: T, priority: Priority) -> Result<UnderWay<T>, Shed> {
    let permit = if let Some(permit) = shared.gate.try_enter() {
        permit
    } else {
        match race(
            pin!(shared.gate.enter(priority)),
            pin!(timer.sleep(shared.max_wait)),
        )
        .await
        {
            Either::Left(Ok(permit)) => permit,
            Either::Left(Err(refusal)) => {
                return Err(Shed {
                    retry_after: refusal.retry_after(),
                });
            }
            Either::Right(()) => {
                return Err(Shed {
                    retry_after: shared.max_wait,
                });
            }
        }
    };
    // The gate lets no more in than the limit, except for a moment after the limit fell.
    if !shared.limiter.try_start() {
        return Err(Shed {
            retry_after: shared.max_wait,
        });
    }
    let began = timer.now();
    Ok(UnderWay {
        shared,
        timer,
        began,
        outcome: Outcome::Cancelled,
        _permit: permit,
    })
}

impl<S, T, C, P, R> Protect<S, R> for LimitLayer<T, C, P>
where
    S: Callee<R>,
    R: Send + 'static,
    T: Timer,
    C: Classify<S::Response>,
    P: Fn(&R) -> Priority,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let priority = (self.priority)(&request);
        let (shared, timer) = (self.shared.clone(), self.timer.clone());
        let classify = self.classify.clone();
        Box::pin(async move {
            let mut under_way = enter(shared, timer, priority).await?;
            let result = callee.call(request).await.map_err(Into::into);
            under_way.outcome = classify.classify(&result);
            result
        })
    }
}
