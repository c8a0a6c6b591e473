//! Invocation: from HTTP or from a message, to an HTTP app, a gRPC app or an external service.

mod callback;
mod headers;
mod message;

use http::{Request, Response};
use mainstay_mesh::{AppProtocol, Body, Call, CallError, Caller, Mesh, Protocol, Target};

use crate::Limits;
use crate::body::BodyError;

/// An invocation without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The request could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The request makes no sense; the text is what Dapr says.
    #[error("{0}")]
    Invalid(String),
}

/// Calls under an app's name.
#[derive(Clone, Debug)]
pub(crate) struct Invoker {
    pub(crate) mesh: Mesh,
    pub(crate) caller: Caller,
    pub(crate) limits: Limits,
}

impl Invoker {
    /// Passes an HTTP request on as it is; a gRPC app gets it as a message.
    pub(crate) async fn http(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, InvokeError> {
        if self.is_grpc_app(&target) {
            // Boxed, so that the common case does not pay for the size of this one.
            return Box::pin(self.http_to_callback(target, request)).await;
        }
        Ok(self.call(target, request, Protocol::Http).await?)
    }

    /// Passes a gRPC request of any kind on as it is.
    pub(crate) async fn grpc(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        self.call(target, request, Protocol::Grpc).await
    }

    fn is_grpc_app(&self, target: &Target) -> bool {
        match target {
            Target::Name(name) => self.mesh.app_protocol(name) == Some(AppProtocol::Grpc),
            Target::Url(_) => false,
        }
    }

    async fn call(
        &self,
        target: Target,
        request: Request<Body>,
        protocol: Protocol,
    ) -> Result<Response<Body>, CallError> {
        let caller = self.caller.clone();
        let call = Call {
            caller,
            target,
            request,
            protocol,
            takes_fixed_answer: protocol == Protocol::Http,
        };
        self.mesh.call(call).await
    }
}
