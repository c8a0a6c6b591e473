//! The control API: status, logs, restart, stop, metrics, components, caches, backups, migrations; for the command line,
//! scrapers and the dashboard.

mod backup;
mod blocks;
mod guard;
mod lines;
mod logs;
mod migration;
mod process;
mod prometheus;
mod status;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mainstay_backup::Exports;
use mainstay_base::AppId;
use mainstay_base::metric::Collect;
use mainstay_cache::http::CallCache;
use mainstay_host::Handle;
use mainstay_mesh::{Body, CallError, Mesh};

pub use self::process::PROCESS_METRIC_TABLE;
pub(crate) use self::process::ProcessMetrics;
use crate::listener::{self, Handler};
use crate::metrics::{Refusal, ServerKind};
use crate::wire::System;
use crate::{AppToken, Blocks, Limits, Metrics, Server, Shutdown, reply};

/// Settings of the control API.
#[derive(Clone)]
pub struct ControlOptions {
    /// The secret of the data directory, as `authorization: Bearer`.
    pub token: AppToken,
    /// What a client may do.
    pub limits: Limits,
    /// Stops the whole system.
    pub shutdown: Shutdown,
    /// What does not change while the system runs: `/api/system`.
    pub system: Arc<System>,
    /// Host names, besides `localhost` and plain addresses, under which it may be asked. A web page that points a name
    /// of its own at this address is refused.
    pub hosts: Vec<String>,
    /// Every component that is open, whichever apps may use it.
    pub blocks: Arc<Blocks>,
    /// Moments of the store, for backups.
    pub exports: Option<Exports>,
    /// Moves what is stored to another store; absent where there is no store.
    pub migration: Option<mainstay_migrate::Handle>,
    /// The caches of all calls; those of state are with their components.
    pub call_caches: Vec<CallCache<CallError>>,
    /// Where the servers count; shown at `/metrics`.
    pub metrics: Metrics,
    /// What else is shown there.
    pub collectors: Vec<Arc<dyn Collect>>,
}

/// Serves the control API on `listener`. It accepts and serves on the present tokio runtime, not on the data plane's.
///
/// # Errors
/// When the listener cannot be used or the token is empty.
pub fn serve_control(
    listener: TcpListener,
    options: ControlOptions,
    host: Handle,
    mesh: Mesh,
) -> io::Result<Server> {
    if options.token.is_empty() {
        let message = "the token of the control API is empty";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let setup = (
        ServerKind::Control,
        options.limits.clone(),
        options.metrics.clone(),
    );
    let process = ProcessMetrics::new(&options.system);
    let mut collectors = vec![
        Arc::new(process) as Arc<dyn Collect>,
        Arc::new(options.metrics.clone()),
        Arc::new(options.metrics.caches().clone()),
        host.metrics(),
        mesh.metrics(),
    ];
    collectors.extend(options.collectors.iter().cloned());
    let control = Control {
        options,
        host,
        mesh,
        collectors: collectors.into(),
    };
    listener::serve(listener, listener::Runs::WhereAccepted, control, setup)
}

struct Control {
    options: ControlOptions,
    host: Handle,
    mesh: Mesh,
    collectors: Arc<[Arc<dyn Collect>]>,
}

impl Handler for Control {
    type Session = ();

    fn session(&self, _: SocketAddr) {}

    async fn handle(self: Arc<Self>, request: Request<Incoming>, (): ()) -> Response<Body> {
        if let Err(name) = guard::check_origin(&request, &self.options.hosts) {
            self.refuse(Refusal::Unauthorized);
            let message = format!("the control API may not be asked as `{name}`");
            return reply::problem(StatusCode::FORBIDDEN, "ERR_FORBIDDEN_HOST", message);
        }
        let is_health = request.method() == Method::GET && request.uri().path() == "/healthz";
        if is_health {
            return reply::text(StatusCode::OK, "ok\n");
        }
        if !guard::shows_token(request.headers(), &self.options.token) {
            self.refuse(Refusal::Unauthorized);
            return unauthorized();
        }
        if request.uri().path().starts_with(migration::PATH) {
            return self.migration(request.map(Body::from)).await;
        }
        match blocks::Asked::of(&request) {
            Some(asked) => self.blocks(asked, request.map(Body::from)).await,
            None => self.answer(&request).await,
        }
    }
}

impl Control {
    fn refuse(&self, refusal: Refusal) {
        self.options.metrics.refuse(ServerKind::Control, refusal);
    }

    async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let path = request.uri().path();
        let get = request.method() == Method::GET;
        let post = request.method() == Method::POST;
        let app = path
            .strip_prefix("/api/apps/")
            .and_then(|rest| rest.strip_suffix("/restart"));
        match path {
            "/api/system" if get => reply::json(StatusCode::OK, &*self.options.system),
            "/api/status" if get => {
                let snapshot = self.host.watch().borrow().clone();
                let status = status::status(&snapshot, &self.mesh.report());
                reply::json(StatusCode::OK, &status)
            }
            "/api/logs" if get => self.logs(request.uri().query()),
            "/api/backup" if get => backup::answer(self.options.exports.as_ref()).await,
            "/metrics" if get => metrics_answer(&self.collectors).await,
            "/api/stop" if post => {
                (self.options.shutdown)();
                accepted()
            }
            "/api/system" | "/api/status" | "/api/logs" | "/api/backup" | "/metrics" => not_allowed("GET"),
            "/api/stop" => not_allowed("POST"),
            _ => match app {
                Some(app) if post => self.restart(app),
                Some(_) => not_allowed("POST"),
                None => self.no_route(path),
            },
        }
    }

    fn no_route(&self, path: &str) -> Response<Body> {
        self.refuse(Refusal::NoRoute);
        let message = format!("the control API has no `{path}`");
        reply::problem(StatusCode::NOT_FOUND, "ERR_NOT_FOUND", message)
    }

    fn restart(&self, name: &str) -> Response<Body> {
        let restarted = AppId::new(name).ok().and_then(|app| self.host.restart(&app).ok());
        match restarted {
            Some(()) => accepted(),
            None => unknown_app(name),
        }
    }

    fn logs(&self, query: Option<&str>) -> Response<Body> {
        let filter = match logs::filter(query.unwrap_or_default()) {
            Ok(filter) => filter,
            Err(message) => return reply::problem(StatusCode::BAD_REQUEST, "ERR_BAD_REQUEST", message),
        };
        let snapshot = self.host.watch().borrow().clone();
        let unknown = filter
            .apps
            .iter()
            .find(|app| !snapshot.apps.iter().any(|known| known.app == **app));
        match unknown {
            Some(app) => unknown_app(app.as_str()),
            None => logs::answer(self.host.logs(filter)),
        }
    }
}

/// Every metric there is. Written on a thread that may block, because it reads files.
pub(crate) async fn metrics_answer(collectors: &Arc<[Arc<dyn Collect>]>) -> Response<Body> {
    let collectors = Arc::clone(collectors);
    let text = tokio::task::spawn_blocking(move || prometheus::write(&collectors)).await;
    match text {
        Ok(text) => reply::bytes(StatusCode::OK, prometheus::CONTENT_TYPE, text),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            let message = "the metrics cannot be written";
            reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "ERR_INTERNAL", message)
        }
    }
}

fn accepted() -> Response<Body> {
    reply::json(StatusCode::ACCEPTED, &serde_json::json!({}))
}

fn unauthorized() -> Response<Body> {
    let message = "show the token of the data directory: `authorization: Bearer TOKEN`";
    let mut response = reply::problem(StatusCode::UNAUTHORIZED, "ERR_UNAUTHORIZED", message);
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn not_allowed(method: &'static str) -> Response<Body> {
    let message = format!("use {method}");
    let mut response = reply::problem(StatusCode::METHOD_NOT_ALLOWED, "ERR_METHOD_NOT_ALLOWED", message);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(method));
    response
}

fn unknown_app(name: &str) -> Response<Body> {
    let message = format!("there is no app called `{name}`");
    reply::problem(StatusCode::NOT_FOUND, "ERR_UNKNOWN_APP", message)
}
