//! The control API: status, logs, restart, stop, metrics; for the command line, scrapers and the dashboard.

use std::net::TcpListener;
use std::sync::Arc;

use mainstay_host::Handle;
use mainstay_mesh::Mesh;

use crate::wire::System;
use crate::{AppToken, Limits, Metrics, Server, Shutdown};

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
    /// Where the servers count; shown at `/metrics`.
    pub metrics: Metrics,
}

/// Serves the control API on `listener`.
pub fn serve_control(
    listener: TcpListener,
    options: ControlOptions,
    host: Handle,
    mesh: Mesh,
) -> std::io::Result<Server> {
    let _ = (listener, options, host, mesh);
    todo!("api")
}
