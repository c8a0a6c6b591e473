//! The control API: status, logs, restart, stop, explain, metrics; for the command line, scrapers and the dashboard.

use std::net::TcpListener;
use std::sync::Arc;

use mainstay_host::Handle;
use mainstay_mesh::Mesh;

use crate::wire::System;
use crate::{AppToken, Limits, Server, Shutdown};

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
