//! What is to be done about a request: decided at once and without waiting, done afterwards.
//!
//! Two things follow. What decides is plain functions. And what waits is small: a request that is passed on holds the
//! call and nothing of the way to it, which is most of what a connection costs.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use mainstay_mesh::{Body, Call, CallError, Mesh};
use pin_project_lite::pin_project;

use crate::errors;

/// Work that waits for something other than a call.
type Work = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What is to be done about a request.
pub(crate) enum Step {
    /// Nothing more: this is the answer.
    Answer(Response<Body>),
    /// It is passed on.
    Pass {
        /// The call.
        call: Call,
        /// How it is told that there is no answer.
        told: Told,
    },
    /// Anything else that has to wait for something; boxed, because it is rare.
    Run(Work),
}

/// How a caller is told that there is no answer.
pub(crate) enum Told {
    /// In HTTP on the Dapr API, with the callee's name as the caller wrote it.
    Invocation(String),
    /// In gRPC on the Dapr API.
    Rpc,
    /// In HTTP at the front door.
    Request,
    /// In gRPC at the front door.
    RequestRpc,
}

impl Step {
    /// Anything that has to wait for something other than a call.
    pub(crate) fn run(work: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self::Run(Box::pin(work))
    }

    /// Does it.
    pub(crate) fn finish(
        self,
        mesh: &Mesh,
    ) -> Doing<impl Future<Output = Result<Response<Body>, CallError>> + Send + use<>> {
        match self {
            Self::Answer(response) => Doing::Answer {
                response: Some(response),
            },
            Self::Pass { call, told } => Doing::Pass {
                calling: mesh.call(call),
                told,
            },
            Self::Run(work) => Doing::Run { work },
        }
    }
}

pin_project! {
    /// A step that is being done. A type of its own instead of an `async fn`, which would hold the call and what became
    /// of it.
    #[project = DoingOf]
    pub(crate) enum Doing<C> {
        Answer { response: Option<Response<Body>> },
        Pass { #[pin] calling: C, told: Told },
        Run { work: Work },
    }
}

impl<C: Future<Output = Result<Response<Body>, CallError>>> Future for Doing<C> {
    type Output = Response<Body>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        match self.project() {
            // A future is not polled again after its end.
            DoingOf::Answer { response } => response.take().map_or(Poll::Pending, Poll::Ready),
            DoingOf::Pass { calling, told } => calling
                .poll(context)
                .map(|result| result.unwrap_or_else(|error| told.answer(&error))),
            DoingOf::Run { work } => work.as_mut().poll(context),
        }
    }
}

impl Told {
    fn answer(&self, error: &CallError) -> Response<Body> {
        match self {
            Self::Invocation(id) => errors::invocation_failed(id, error),
            Self::Rpc => errors::call_status(error).into_http(),
            Self::Request => errors::request_failed(error),
            Self::RequestRpc => errors::request_status(error).into_http(),
        }
    }
}
