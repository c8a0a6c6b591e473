//! The Dapr API of one app: HTTP/1.1, h2c and gRPC on one port.

use std::net::TcpListener;
use std::sync::Arc;

use mainstay_base::AppId;
use mainstay_mesh::Mesh;

use crate::{Limits, Server};

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

/// Settings of one app's API. All its replicas may share one.
#[derive(Clone)]
pub struct AppServerOptions {
    /// Whose API it is.
    pub app: AppId,
    /// The secret; none is asked for when absent.
    pub token: Option<AppToken>,
    /// What a client may do.
    pub limits: Limits,
    /// What `shutdown` does.
    pub shutdown: Shutdown,
}

/// Serves the Dapr API of one app on `listener`.
pub fn serve_app(listener: TcpListener, options: AppServerOptions, mesh: Mesh) -> std::io::Result<Server> {
    let _ = (listener, options, mesh);
    todo!("api")
}
