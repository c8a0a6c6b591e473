//! The Dapr API of one app: HTTP/1.1, h2c and gRPC on one port.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::AppId;
use mainstay_mesh::{AppProtocol, Mesh};

use crate::{Limits, Metrics, Server};

/// The secret that an app must show (`DAPR_API_TOKEN`). Compared in constant time, never printed.
#[derive(Clone)]
pub struct AppToken(Arc<str>);

impl AppToken {
    /// The token with this text.
    pub fn new(secret: &str) -> Self {
        Self(secret.into())
    }
}

/// What `POST /v1.0/shutdown` does.
pub type Shutdown = Arc<dyn Fn() + Send + Sync>;

/// Whether the app takes traffic, asked by `GET /v1.0/healthz`.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

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
    /// Where the server counts.
    pub metrics: Metrics,
}

/// What `GET /v1.0/metadata` says of an app.
#[derive(Clone, Debug, Default)]
pub struct AppMetadata {
    /// The port it listens on, where it is the same for all replicas.
    pub port: Option<u16>,
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

/// Serves the Dapr API of one app on `listener`.
///
/// # Errors
/// When the listener cannot be used, or the data plane knows no such caller.
pub fn serve_app(listener: TcpListener, options: AppServerOptions, mesh: Mesh) -> std::io::Result<Server> {
    let _ = (listener, options, mesh);
    todo!("api")
}
