//! The front door: host and path routes to apps.

use std::net::TcpListener;

use mainstay_base::AppId;
use mainstay_mesh::Mesh;

use crate::{Limits, Metrics, Server};

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

/// Serves the front door on `listener`.
pub fn serve_ingress(listener: TcpListener, options: IngressOptions, mesh: Mesh) -> std::io::Result<Server> {
    let _ = (listener, options, mesh);
    todo!("api")
}
