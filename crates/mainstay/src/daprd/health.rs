//! Whether the app of a sidecar takes calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use mainstay_base::{AppId, ReplicaId};
use mainstay_mesh::{Body, Endpoint, Mesh, client};

/// How often the port is tried until the app listens (daprd's interval).
const CONNECT_INTERVAL: Duration = Duration::from_millis(100);

/// How an app's health is found out.
#[derive(Clone, Debug)]
pub(crate) struct Probing {
    /// The path that is asked; `None` when a connection is enough.
    pub(crate) path: Option<String>,
    /// Time between probes.
    pub(crate) interval: Duration,
    /// How long a probe may take.
    pub(crate) timeout: Duration,
    /// Failures in a row that make the app unhealthy.
    pub(crate) threshold: u32,
}

/// Gives the app calls once its port accepts connections; with `probing`, also takes it out while its probe fails.
///
/// Runs until it is dropped; `healthy` tells the present state.
pub(crate) async fn watch(
    app: AppId,
    address: SocketAddr,
    probing: Option<Probing>,
    (mesh, healthy): (Mesh, Arc<AtomicBool>),
) {
    let set = |now: bool| {
        if healthy.swap(now, Ordering::Relaxed) != now {
            tracing::info!(
                "the app {}",
                if now { "takes calls" } else { "takes no more calls" }
            );
        }
        let endpoint = Endpoint {
            replica: ReplicaId {
                app: app.clone(),
                index: 1,
            },
            address,
        };
        mesh.set_replicas(&app, if now { std::slice::from_ref(&endpoint) } else { &[] });
    };
    tracing::info!("waiting for the app to listen on {address}");
    while client::connects(address).await.is_err() {
        tokio::time::sleep(CONNECT_INTERVAL).await;
    }
    let Some(probing) = probing else {
        set(true);
        return;
    };
    // Unhealthy until the first good probe, as in Dapr.
    let mut failures = probing.threshold;
    loop {
        let result = tokio::time::timeout(probing.timeout, probe(address, probing.path.as_deref())).await;
        let failure = match result {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some(format!(
                "no answer within {}",
                mainstay_base::format_duration(probing.timeout)
            )),
        };
        match failure {
            None => {
                failures = 0;
                set(true);
            }
            Some(reason) => {
                failures = failures.saturating_add(1);
                tracing::debug!("health probe: {reason}");
                if failures >= probing.threshold {
                    set(false);
                }
            }
        }
        tokio::time::sleep(probing.interval).await;
    }
}

async fn probe(address: SocketAddr, path: Option<&str>) -> Result<(), String> {
    let Some(path) = path else {
        return client::connects(address).await.map_err(|error| error.to_string());
    };
    let request = Request::get(path)
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let response = client::send(address, request)
        .await
        .map_err(|error| error.to_string())?;
    // Dapr: any 2xx.
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!("answered {}", response.status()))
    }
}
