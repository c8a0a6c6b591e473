//! What is to be done about a request: decided at once and without waiting, done afterwards.
//!
//! Two things follow. What decides is plain functions. And what waits is small: a request that is passed on holds the
//! call and nothing of the way to it, which is most of what a connection costs.

use std::pin::Pin;

use http::Response;
use mainstay_mesh::{Body, Call, CallError, Mesh};

use crate::errors;

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
    Run(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
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
    pub(crate) async fn finish(self, mesh: Mesh) -> Response<Body> {
        match self {
            Self::Answer(response) => response,
            Self::Pass { call, told } => match mesh.call(call).await {
                Ok(response) => response,
                Err(error) => told.answer(&error),
            },
            Self::Run(work) => work.await,
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
