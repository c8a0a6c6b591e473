//! The server around a service.

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves `routes` and `/healthz` on the port that the runtime gave, until it is told to stop; requests under way are
/// finished first.
///
/// # Errors
/// When there is no port or it cannot be listened on.
pub async fn serve(routes: Router) -> anyhow::Result<()> {
    let port: u16 = std::env::var("PORT")
        .context("PORT is not set: start this service with `mainstay run`")?
        .parse()
        .context("PORT is not a port")?;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told_to_stop = async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = tokio::signal::ctrl_c() => (),
        }
    };
    let routes = routes.route("/healthz", get(async || "ok"));
    axum::serve(listener, routes)
        .with_graceful_shutdown(told_to_stop)
        .await?;
    Ok(())
}
