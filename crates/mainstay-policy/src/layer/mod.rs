//! The mechanisms as [tower](https://docs.rs/tower) layers, for programs that want them without Mainstay.
//!
//! The layers know no runtime: time comes through a [`Timer`] that the program implements in a few lines (the example does
//! it for tokio). Their error is tower's boxed error; what they add to it are [`TimedOut`], [`BreakerOpen`] and [`Shed`].
//!
//! [`Resilience`] stacks all of them in the order of Mainstay's own call path:
//!
//! ```text
//! fallback > breaker > limit (gate and limiter) > retry > hedge > attempt timeout > the service
//! ```
//!
//! ```
//! use std::time::Duration;
//! use mainstay_policy::layer::{Timer, TimeoutLayer};
//! use mainstay_base::{Clock, SystemClock, Timestamp};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//!
//! #[derive(Clone)]
//! struct Tokio(SystemClock);
//!
//! impl Clock for Tokio {
//!     fn now(&self) -> Timestamp {
//!         self.0.now()
//!     }
//! }
//!
//! impl Timer for Tokio {
//!     fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
//!         tokio::time::sleep(duration)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let slow = service_fn(|_request: ()| async {
//!     tokio::time::sleep(Duration::from_secs(60)).await;
//!     Ok::<_, tower::BoxError>("too late")
//! });
//! let mut service = TimeoutLayer::new(Duration::from_millis(5), Tokio(SystemClock::new())).layer(slow);
//! let error = service.ready().await.unwrap().call(()).await.unwrap_err();
//! assert_eq!(error.to_string(), "no answer within 5ms");
//! # });
//! ```

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use mainstay_base::{Clock, Rng, SplitMix64, format_duration};

use crate::Outcome;

mod breaker;
mod fallback;
mod hedge;
mod limit;
mod retry;
mod service;
mod stack;
mod timeout;

pub use breaker::BreakerLayer;
pub use fallback::FallbackLayer;
pub use hedge::HedgeLayer;
pub use limit::LimitLayer;
pub use retry::RetryLayer;
pub use service::{BoxFuture, Callee, Protect, Protected};
pub use stack::Resilience;
pub use timeout::TimeoutLayer;

/// Tower's boxed error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Time for the layers: a clock that can also wait.
pub trait Timer: Clock + Clone {
    /// Resolves after `duration`. Cancel safe.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static;
}

/// Judges how a call ended. Implemented by every matching closure.
pub trait Classify<T>: Clone + Send + Sync + 'static {
    /// How it ended.
    fn classify(&self, result: &Result<T, BoxError>) -> Outcome;
}

impl<T, F> Classify<T> for F
where
    F: Fn(&Result<T, BoxError>) -> Outcome + Clone + Send + Sync + 'static,
{
    fn classify(&self, result: &Result<T, BoxError>) -> Outcome {
        self(result)
    }
}

/// The judgement of those who have no better one: every answer is good, every error is a failure, except for [`Shed`],
/// which is a refusal.
pub fn errors_fail<T>(result: &Result<T, BoxError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        Err(error) if error.is::<Shed>() => Outcome::Rejected,
        Err(_) => Outcome::Failure,
    }
}

/// No answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {}", format_duration(*limit))]
pub struct TimedOut {
    /// The time that was given.
    pub limit: Duration,
}

/// The circuit breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open, come back in {}", format_duration(*retry_after))]
pub struct BreakerOpen {
    /// When to come back.
    pub retry_after: Duration,
}

/// Too much load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("turned away by too much load, come back in {}", format_duration(*retry_after))]
pub struct Shed {
    /// When to come back.
    pub retry_after: Duration,
}

/// A generator that many calls draw from at once: each draw is its own short sequence.
#[derive(Debug)]
pub(crate) struct SharedRng(AtomicU64);

impl SharedRng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn draw(&self) -> impl Rng + use<> {
        SplitMix64::new(SplitMix64::new(self.0.fetch_add(1, Ordering::Relaxed)).next_u64())
    }
}

pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Resolves with whichever comes first; the left one when both are there.
pub(crate) async fn race<A: Future, B: Future>(
    mut left: Pin<&mut A>,
    mut right: Pin<&mut B>,
) -> Either<A::Output, B::Output> {
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}

#[cfg(test)]
mod tests;
