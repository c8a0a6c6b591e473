//! The front door: host and path routes to apps.

mod routes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use http::header::{HOST, HeaderMap, HeaderName};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use mainstay_base::AppId;
use mainstay_mesh::{Body, Call, Caller, Mesh, Protocol, Target};

use self::routes::Routes;
use crate::listener::{self, Handler};
use crate::metrics::{Refusal, ServerKind};
use crate::step::{Step, Told};
use crate::{Limits, Metrics, Server, app, grpc, reply};

/// One route. The longest path wins; a route with a host wins over one without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Exact host, or `*.example.org`; any when absent.
    pub host: Option<String>,
    /// Path prefix at a segment boundary, `/` for all.
    pub path: String,
    /// Who answers.
    pub app: AppId,
}

/// Settings of the front door.
#[derive(Clone, Debug)]
pub struct IngressOptions {
    /// The name it calls under (an app id that no app has).
    pub caller: AppId,
    /// Where requests go.
    pub routes: Vec<Route>,
    /// What a client may do.
    pub limits: Limits,
    /// Where the server counts.
    pub metrics: Metrics,
}

/// Serves the front door on `listener`. It accepts on the present tokio runtime.
///
/// Clients are strangers: headers that only apps and Mainstay itself may set (`dapr-*`, `mainstay-*`, among them
/// priority and deadline) and claims of other proxies (`x-forwarded-*`, `forwarded`, `x-real-ip`) are taken out. A
/// `grpc-timeout` stays, because it can only shorten a deadline; so does the trace context.
///
/// # Errors
/// When the listener cannot be used, or the data plane knows no such caller.
pub fn serve_ingress(listener: TcpListener, options: IngressOptions, mesh: Mesh) -> io::Result<Server> {
    let runs = listener::Runs::OnWorkers(mesh.workers().clone());
    let ingress = Ingress {
        caller: app::caller(&mesh, &options.caller)?,
        routes: Routes::new(options.routes),
        metrics: options.metrics.clone(),
        mesh,
    };
    let setup = (ServerKind::Ingress, options.limits, options.metrics);
    listener::serve(listener, runs, ingress, setup)
}

struct Ingress {
    mesh: Mesh,
    caller: Caller,
    routes: Routes,
    metrics: Metrics,
}

impl Handler for Ingress {
    type Session = Caller;

    fn session(&self, peer: SocketAddr) -> Caller {
        self.caller.with_client(peer.ip().to_canonical())
    }

    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: Caller,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let step = self.decide(request.map(Body::from), caller);
        step.finish(&self.mesh)
    }
}

impl Ingress {
    fn decide(&self, mut request: Request<Body>, caller: Caller) -> Step {
        let authority = authority_of(&request);
        let Some(app) = self.routes.find(authority, request.uri().path()) else {
            self.metrics.refuse(ServerKind::Ingress, Refusal::NoRoute);
            let host = routes::host_name(authority);
            let path = request.uri().path();
            let message = format!("no app answers `{path}` on host `{host}`: see `ingress:` in the manifest");
            return Step::Answer(reply::problem(StatusCode::NOT_FOUND, "ERR_NO_ROUTE", message));
        };
        let (protocol, told) = if grpc::has_grpc_content(&request) {
            (Protocol::Grpc, Told::RequestRpc)
        } else {
            (Protocol::Http, Told::Request)
        };
        clean(&mut request);
        let call = Call {
            caller,
            target: Target::Name(app.as_str().to_owned()),
            request,
            protocol,
            takes_fixed_answer: protocol == Protocol::Http,
        };
        Step::Pass { call, told }
    }
}

/// The host that a request is for: what its target says goes before the header (RFC 9112, 3.2.2).
fn authority_of<B>(request: &Request<B>) -> &str {
    let target = request.uri().authority().map(Authority::as_str);
    let header = || request.headers().get(HOST).and_then(|value| value.to_str().ok());
    target.or_else(header).unwrap_or_default()
}

/// Makes a stranger's request one that may come in.
fn clean<B>(request: &mut Request<B>) {
    let authority = request.uri().authority();
    let authority = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        // In HTTP/2 there is no such header, and apps over HTTP/1.1 need one.
        request.headers_mut().insert(HOST, authority);
    }
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    strip(request.headers_mut());
}

/// Takes out the headers that a stranger may not set.
fn strip(headers: &mut HeaderMap) {
    let forbidden = |name: &str| {
        ["dapr-", "mainstay-", "x-forwarded-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || name == "x-real-ip"
            || name == "forwarded"
    };
    let found: Vec<HeaderName> = headers
        .keys()
        .filter(|name| forbidden(name.as_str()))
        .cloned()
        .collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_may_not_set_is_taken_out() {
        let mut headers = HeaderMap::new();
        for name in [
            "dapr-api-token",
            "dapr-caller-app-id",
            "mainstay-priority",
            "mainstay-deadline",
            "x-forwarded-for",
            "x-forwarded-prefix",
            "forwarded",
            "x-real-ip",
            "accept",
            "grpc-timeout",
            "traceparent",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "grpc-timeout", "traceparent"]);
    }
}
