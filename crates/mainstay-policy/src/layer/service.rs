//! The service that every layer makes, and what a layer has to say for itself.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::BoxError;

/// The answer of a protected service, on its way.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A service that can be protected. Every service is one that a task can own and that can be cloned.
pub trait Callee<R>: Service<R, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static {}

impl<S, R> Callee<R> for S where S: Service<R, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static {}

/// What a layer does around a call.
pub trait Protect<S: Callee<R>, R> {
    /// Calls `callee`, which is ready for one call, as often as it sees fit. Dropping the future cancels the call.
    fn call(&self, callee: S, request: R) -> BoxFuture<S::Response>;
}

/// A service with a layer around it. Its errors are those of the service and those that the layer adds.
#[derive(Clone, Debug)]
pub struct Protected<S, L> {
    callee: S,
    layer: L,
}

impl<S, L> Protected<S, L> {
    /// `callee` with `layer` around it.
    pub const fn new(callee: S, layer: L) -> Self {
        Self { callee, layer }
    }
}

impl<S: Callee<R>, L: Protect<S, R>, R> Service<R> for Protected<S, L> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.callee.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The one that was polled ready makes the call, a clone stays behind, as tower's contract asks.
        let clone = self.callee.clone();
        let ready = std::mem::replace(&mut self.callee, clone);
        self.layer.call(ready, request)
    }
}
