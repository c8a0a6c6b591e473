//! An answer when there is none.

use tower_layer::Layer;

use super::{BoxError, BoxFuture, Callee, Protect, Protected};

/// Answers in the place of a service that has no answer.
#[derive(Clone, Debug)]
pub struct FallbackLayer<F> {
    answer: F,
}

impl<F> FallbackLayer<F> {
    /// `answer` is given the error. It gives the answer, or the error back when it has none; an answer that is not the
    /// service's own should say so.
    pub const fn new(answer: F) -> Self {
        Self { answer }
    }
}

impl<S, F: Clone> Layer<S> for FallbackLayer<F> {
    type Service = Protected<S, Self>;

    fn layer(&self, callee: S) -> Self::Service {
        Protected::new(callee, self.clone())
    }
}

impl<S, F, R> Protect<S, R> for FallbackLayer<F>
where
    S: Callee<R>,
    R: Send + 'static,
    F: Fn(BoxError) -> Result<S::Response, BoxError> + Clone + Send + 'static,
{
    fn call(&self, mut callee: S, request: R) -> BoxFuture<S::Response> {
        let answer = self.answer.clone();
        Box::pin(async move { callee.call(request).await.map_err(Into::into).or_else(answer) })
    }
}
