//! The Dapr API of one app: HTTP/1.1, h2c and gRPC on one port.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{HeaderMap, HeaderName};
use ::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use mainstay_base::AppId;
use mainstay_cache::http::CallCache;
use mainstay_mesh::{AppProtocol, Body, CallError, Caller, Mesh, Target};

use crate::listener::{self, Handler};
use crate::metrics::{Refusal, ServerKind};
use crate::operations::configuration::Subscriptions;
use crate::operations::invoke::Invoker;
use crate::operations::metadata::Notes;
use crate::{AppToken, Blocks, Limits, Metrics, Server, body, grpc, http};

/// The header and metadata key in which an app shows its token.
pub(crate) static API_TOKEN: HeaderName = HeaderName::from_static("dapr-api-token");

/// What `POST /v1.0/shutdown` does.
pub type Shutdown = Arc<dyn Fn() + Send + Sync>;

/// Whether the app takes traffic, asked by `GET /v1.0/healthz`.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

/// The caches of an app's calls, by the name of who is called.
pub type CallCaches = HashMap<String, CallCache<CallError>>;

/// Settings of one app's API. All its replicas may share one.
#[derive(Clone)]
pub struct AppServerOptions {
    /// Whose API it is.
    pub app: AppId,
    /// The secret; none is asked for when absent.
    pub token: Option<AppToken>,
    /// What a client may do.
    pub limits: Limits,
    /// Whether the app takes traffic; always true for an app without a port.
    pub ready: Ready,
    /// What `shutdown` does.
    pub shutdown: Shutdown,
    /// What `metadata` says.
    pub metadata: AppMetadata,
    /// The building blocks it may use.
    pub blocks: Arc<Blocks>,
    /// The caches of its calls, by the name of who is called.
    pub caches: Arc<CallCaches>,
    /// Where the server counts.
    pub metrics: Metrics,
}

/// What `GET /v1.0/metadata` says of an app.
#[derive(Clone, Debug, Default)]
pub struct AppMetadata {
    /// The port it listens on, where it is the same for all replicas.
    pub port: Option<u16>,
    /// Whether it can be called; one that cannot is told of nothing.
    pub is_callable: bool,
    /// What it speaks.
    pub protocol: AppProtocol,
    /// Where Mainstay reaches it; `127.0.0.1` when absent.
    pub channel_address: Option<String>,
    /// Requests it handles at a time; unbounded when absent.
    pub max_concurrency: Option<u32>,
    /// How its health is found out, where it is.
    pub health: Option<HealthCheck>,
    /// Names of external services that it may call.
    pub http_endpoints: Vec<String>,
    /// What the app noted itself.
    pub notes: Notes,
}

/// How an app's health is found out (daprd's `--enable-app-health-check` and what goes with it).
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// The path that is asked; none for a gRPC app.
    pub path: Option<String>,
    /// Time between probes.
    pub interval: Duration,
    /// Time for a probe.
    pub timeout: Duration,
    /// Failures in a row that make it bad.
    pub threshold: u32,
}

/// The Dapr API of one app.
pub(crate) struct App {
    pub(crate) options: AppServerOptions,
    pub(crate) invoker: Invoker,
    pub(crate) subscriptions: Subscriptions,
}

impl App {
    /// The API of the app that `options` name.
    ///
    /// # Errors
    /// When the data plane knows no such caller.
    pub(crate) fn new(options: AppServerOptions, mesh: Mesh) -> io::Result<Self> {
        Ok(Self {
            invoker: Invoker {
                caller: caller(&mesh, &options.app)?,
                limits: options.limits.clone(),
                mesh,
            },
            subscriptions: Subscriptions::default(),
            options,
        })
    }

    /// The cache of calls of `target`, if there is one.
    pub(crate) fn cache_of(&self, target: &Target) -> Option<&CallCache<CallError>> {
        match target {
            Target::Name(name) if !self.options.caches.is_empty() => self.options.caches.get(name),
            _ => None,
        }
    }

    /// Reads the body of a request whole; the answer to one that cannot be read.
    pub(crate) async fn read(&self, body: Body) -> Result<Bytes, Response<Body>> {
        let limits = &self.options.limits;
        body::read(body, limits.body_bytes, limits.body_timeout)
            .await
            .map_err(|error| {
                self.options.metrics.refuse(ServerKind::App, Refusal::Body);
                error.answer()
            })
    }

    /// Whether a request shows the token, where one is asked for.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(&API_TOKEN).map(HeaderValue::as_bytes);
        match &self.options.token {
            Some(token) => token.matches(shown.unwrap_or_default()),
            None => true,
        }
    }
}

impl Handler for App {
    type Session = ();

    fn session(&self, _: SocketAddr) {}

    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        (): (),
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let request = request.map(Body::from);
        let step = if grpc::is_for_us(&request) {
            grpc::decide(&self, request)
        } else {
            http::decide(&self, request)
        };
        step.finish(&self.invoker.mesh)
    }
}

/// Serves the Dapr API of one app on `listener`. It accepts on the present tokio runtime.
///
/// # Errors
/// When the listener cannot be used, the token is empty, or the data plane knows no such caller.
pub fn serve_app(listener: TcpListener, options: AppServerOptions, mesh: Mesh) -> io::Result<Server> {
    if options.token.as_ref().is_some_and(AppToken::is_empty) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the API token is empty",
        ));
    }
    let runs = listener::Runs::OnWorkers(mesh.workers().clone());
    let setup = (ServerKind::App, options.limits.clone(), options.metrics.clone());
    listener::serve(listener, runs, App::new(options, mesh)?, setup)
}

/// The caller called `app`.
///
/// # Errors
/// When the data plane has not heard of it: a defect of the wiring.
pub(crate) fn caller(mesh: &Mesh, app: &AppId) -> io::Result<Caller> {
    mesh.caller(app)
        .ok_or_else(|| io::Error::other(format!("the data plane knows no caller called `{app}`")))
}
