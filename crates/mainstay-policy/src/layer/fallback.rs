//! An answer when there is none.

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, BoxFuture, take_ready};

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
    type Service = FallbackService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService {
            inner,
            answer: self.answer.clone(),
        }
    }
}

/// The service of [`FallbackLayer`].
#[derive(Clone, Debug)]
pub struct FallbackService<S, F> {
    inner: S,
    answer: F,
}

impl<S, F, R> Service<R> for FallbackService<S, F>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    R: Send + 'static,
    F: Fn(BoxError) -> Result<S::Response, BoxError> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut inner = take_ready(&mut self.inner);
        let answer = self.answer.clone();
        Box::pin(async move { inner.call(request).await.map_err(Into::into).or_else(answer) })
    }
}
