//! The call path: one file that reads top to bottom as the life of a call.

use http::{Request, Response};
use mainstay_base::AppId;

use crate::{AppProtocol, Body, CallError, Mesh};

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Who is called.
    pub target: Target,
    /// What the callee receives: the path is the method's, `dapr-app-id` and the API token are already gone. Everything
    /// that every hop does (hop-by-hop headers, forwarding headers, trace, deadline, app token) is the mesh's work.
    pub request: Request<Body>,
    /// How outcomes are read.
    pub protocol: Protocol,
}

/// A caller: an app, the ingress or the command line, with its edges. Cheap to clone; resolve it once per listener with
/// [`Mesh::caller`].
#[derive(Clone, Debug)]
pub struct Caller {}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An app or an external service of the manifest, by name.
    Name(String),
    /// An absolute URL (Dapr's `http(s)://host` form); must lie under an external service's URL.
    Url(String),
}

/// How outcomes are read and errors of the mesh are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By status code.
    Http,
    /// By the `grpc-status` trailer.
    Grpc,
}

impl Mesh {
    /// Makes one call: deadline, admission, attempts, fallback, record.
    ///
    /// An answer of the callee is `Ok` whatever its status. A fallback answer is `Ok` and carries the header
    /// `mainstay-fallback`.
    ///
    /// # Errors
    /// When there is no answer: the error says what happened, whose fault it is and when to come back.
    pub async fn call(&self, call: Call) -> Result<Response<Body>, CallError> {
        let _ = call;
        todo!("mesh")
    }

    /// What the app called `name` speaks; `None` for an external service and an unknown name.
    pub fn app_protocol(&self, name: &str) -> Option<AppProtocol> {
        let _ = name;
        todo!("mesh")
    }

    /// The caller called `app`; `None` when the topology has no such caller.
    pub fn caller(&self, app: &AppId) -> Option<Caller> {
        let _ = app;
        todo!("mesh")
    }
}
