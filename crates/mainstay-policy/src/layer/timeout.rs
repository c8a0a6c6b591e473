//! Bounds one attempt.

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, BoxFuture, Either, TimedOut, Timer, race, take_ready};

/// Bounds one attempt.
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
    type Service = TimeoutService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService {
            inner,
            limit: self.limit,
            timer: self.timer.clone(),
        }
    }
}

/// The service of [`TimeoutLayer`]. Its error on time is [`TimedOut`].
#[derive(Clone, Debug)]
pub struct TimeoutService<S, T> {
    inner: S,
    limit: Duration,
    timer: T,
}

impl<S, T, R> Service<R> for TimeoutService<S, T>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    R: Send + 'static,
    T: Timer,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut inner = take_ready(&mut self.inner);
        let (limit, timer) = (self.limit, self.timer.clone());
        Box::pin(async move {
            match race(pin!(inner.call(request)), pin!(timer.sleep(limit))).await {
                Either::Left(result) => result.map_err(Into::into),
                Either::Right(()) => Err(TimedOut { limit }.into()),
            }
        })
    }
}
