//! Invocation: from HTTP or from a message, to an HTTP app, a gRPC app or an external service.

mod cached;
mod callback;
mod headers;
mod message;

use http::Request;
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
    /// The call of `target` with `request`, under the app's name.
    pub(crate) fn to_call(&self, target: Target, request: Request<Body>, protocol: Protocol) -> Call {
        Call {
            caller: self.caller.clone(),
            target,
            request,
            protocol,
            takes_fixed_answer: protocol == Protocol::Http,
        }
    }

    /// Whether `target` is a gRPC app, which gets HTTP requests as messages.
    pub(crate) fn is_grpc_app(&self, target: &Target) -> bool {
        match target {
            Target::Name(name) => self.mesh.app_protocol(name) == Some(AppProtocol::Grpc),
            Target::Replica(replica) => self.is_grpc_app(&Target::Name(replica.app.to_string())),
            Target::Url(_) => false,
        }
    }
}
