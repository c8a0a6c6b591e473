//! A second attempt before the first has failed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::{BoxError, BoxFuture, Callee, Either, Protect, Protected, Timer, race};
use crate::hedge::{Hedge, HedgePolicy};

/// Sends a second attempt when the first takes longer than 95 of 100 do, and answers with whichever comes first. Every
/// service of one layer shares the budget. Only for calls that may be made twice.
#[derive(Clone, Debug)]
pub struct HedgeLayer<T> {
    hedge: Arc<Hedge>,
    timer: T,
}

impl<T: Timer> HedgeLayer<T> {
    /// Hedging on `policy`; `expected` is the latency assumed until enough calls were seen.
    pub fn new(policy: &HedgePolicy, expected: Duration, timer: T) -> Self {
        Self {
            hedge: Arc::new(Hedge::new(policy, expected, timer.now())),
            timer,
        }
    }
}

impl<S, T: Clone> Layer<S> for HedgeLayer<T> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

impl<S, T, R> Protect<S, R> for HedgeLayer<T>
where
    S: Callee<R>,
    S::Response: Send,
    S::Error: Send,
    R: Clone + Send + 'static,
    T: Timer,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let mut second = callee.clone();
        let HedgeLayer { hedge, timer } = self.clone();
        Box::pin(async move {
            let began = timer.now();
            let delay = hedge.delay(began);
            let mut first = pin!(callee.call(request.clone()));
            let result = match race(first.as_mut(), pin!(timer.sleep(delay))).await {
                Either::Left(result) => result.map_err(Into::into),
                Either::Right(()) if hedge.withdraw(timer.now()) => {
                    let spare = pin!(async {
                        std::future::poll_fn(|context| second.poll_ready(context)).await?;
                        second.call(request).await
                    });
                    first_good(first, spare).await
                }
                Either::Right(()) => first.await.map_err(Into::into),
            };
            if result.is_ok() {
                hedge.record(timer.now().since(began));
            }
            result
        })
    }
}

/// The first answer of the two; an error only when both failed.
async fn first_good<T, E: Into<BoxError>>(
    mut first: std::pin::Pin<&mut impl Future<Output = Result<T, E>>>,
    mut spare: std::pin::Pin<&mut impl Future<Output = Result<T, E>>>,
) -> Result<T, BoxError> {
    match race(first.as_mut(), spare.as_mut()).await {
        Either::Left(Ok(answer)) | Either::Right(Ok(answer)) => Ok(answer),
        Either::Left(Err(_)) => spare.await.map_err(Into::into),
        Either::Right(Err(_)) => first.await.map_err(Into::into),
    }
}
