//! From the host to the mesh: only replicas that are ready take traffic.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use mainstay_base::AppId;
use mainstay_host::{AppStatus, ReplicaState, Snapshot};
use mainstay_mesh::{Endpoint, Mesh};
use tokio::sync::watch;

/// Tells the mesh about every change, until the host is gone.
pub(crate) async fn follow(mut snapshots: watch::Receiver<Arc<Snapshot>>, mesh: Mesh) {
    let mut told: HashMap<AppId, Vec<Endpoint>> = HashMap::new();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        for app in &snapshot.apps {
            let endpoints = ready(app);
            // Most snapshots change something else, processor time for example.
            if told.get(&app.app) != Some(&endpoints) {
                mesh.set_replicas(&app.app, &endpoints);
                told.insert(app.app.clone(), endpoints);
            }
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// Where the replicas of `app` listen that are ready.
fn ready(app: &AppStatus) -> Vec<Endpoint> {
    app.replicas
        .iter()
        .filter(|replica| replica.state == ReplicaState::Ready)
        .filter_map(|replica| {
            Some(Endpoint {
                replica: replica.id.clone(),
                address: (Ipv4Addr::LOCALHOST, replica.port?).into(),
            })
        })
        .collect()
}
