//! Bounds one attempt.

use std::pin::pin;
use std::time::Duration;

use tower_layer::Layer;

use super::{BoxFuture, Callee, Either, Protect, Protected, TimedOut, Timer, race};

/// Bounds one attempt; the error is [`TimedOut`] when it took too long.
#[derive(Clone, Debug)]
pub struct TimeoutLayer<T> {
    limit: Duration,
    timer: T,
}

impl<T> TimeoutLayer<T> {
    /// An attempt may take `limit`.
    pub const fn new(limit: Duration, timer: T) -> Self {
        Self { limit, timer }
    }
}

impl<S, T: Clone> Layer<S> for TimeoutLayer<T> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

impl<S, T, R> Protect<S, R> for TimeoutLayer<T>
where
    S: Callee<R>,
    R: Send + 'static,
    T: Timer,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let (limit, timer) = (self.limit, self.timer.clone());
        Box::pin(async move {
            match race(pin!(callee.call(request)), pin!(timer.sleep(limit))).await {
                Either::Left(result) => result.map_err(Into::into),
                Either::Right(()) => Err(TimedOut { limit }.into()),
            }
        })
    }
}
