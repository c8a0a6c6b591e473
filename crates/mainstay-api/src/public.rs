//! Servers without a token that show little: daprd's public port and its metrics port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mainstay_base::metric::Collect;
use mainstay_mesh::{Body, Mesh};

use crate::app::{self, App, AppServerOptions};
use crate::control::{self, ProcessMetrics};
use crate::http::route::Route;
use crate::listener::{self, Handler};
use crate::metrics::ServerKind;
use crate::wire::System;
use crate::{Limits, Metrics, Server, reply};

/// Serves health and metadata of one app on `listener` and nothing else, to everybody (daprd's `--dapr-public-port`).
///
/// # Errors
/// When the listener cannot be used, or the data plane knows no such caller.
pub fn serve_public(listener: TcpListener, options: AppServerOptions, mesh: Mesh) -> io::Result<Server> {
    let options = AppServerOptions {
        token: None,
        ..options
    };
    let setup = (ServerKind::App, options.limits.clone(), options.metrics.clone());
    let public = Public(Arc::new(app::App::new(options, mesh)?));
    listener::serve(listener, listener::Runs::WhereAccepted, public, setup)
}

struct Public(Arc<App>);

impl Handler for Public {
    type Session = ();

    fn session(&self, _: SocketAddr) {}

    async fn handle(self: Arc<Self>, request: Request<Incoming>, (): ()) -> Response<Body> {
        let route = Route::of(request.method(), request.uri().path());
        match route {
            Ok(Route::Healthz | Route::HealthzOutbound | Route::Metadata) => {
                let step = crate::http::decide(&self.0, request.map(Body::from));
                step.finish(&self.0.invoker.mesh).await
            }
            _ => reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }
}

/// Settings of a metrics server.
#[derive(Clone)]
pub struct MetricsOptions {
    /// What a client may do.
    pub limits: Limits,
    /// Where the servers count; shown as well.
    pub metrics: Metrics,
    /// Whose version and start are shown.
    pub system: Arc<System>,
}

/// Serves the metrics of the servers and of the data plane as Prometheus text on `listener`, to everybody.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_metrics(listener: TcpListener, options: MetricsOptions, mesh: &Mesh) -> io::Result<Server> {
    let setup = (ServerKind::Control, options.limits, options.metrics.clone());
    let collectors: [Arc<dyn Collect>; 3] = [
        Arc::new(ProcessMetrics::new(&options.system)),
        Arc::new(options.metrics),
        mesh.metrics(),
    ];
    let scrape = Scrape(collectors.into());
    listener::serve(listener, listener::Runs::WhereAccepted, scrape, setup)
}

struct Scrape(Arc<[Arc<dyn Collect>]>);

impl Handler for Scrape {
    type Session = ();

    fn session(&self, _: SocketAddr) {}

    async fn handle(self: Arc<Self>, request: Request<Incoming>, (): ()) -> Response<Body> {
        // daprd answers at both.
        if request.method() == Method::GET && matches!(request.uri().path(), "/" | "/metrics") {
            control::metrics_answer(&self.0).await
        } else {
            reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
        }
    }
}
