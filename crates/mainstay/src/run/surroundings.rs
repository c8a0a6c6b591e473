//! What the host needs from outside: ports and variables for replicas, draining, probes over the network.

use std::collections::HashMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use mainstay_base::{AppId, ReplicaId};
use mainstay_host::{NetworkProbe, PrepareError, Prepared, Surroundings};
use mainstay_mesh::{Body, Mesh, client};

use crate::run::environment::{self, Source};
use crate::run::ports::{self, PortBook};

/// What the replicas of one app have in common.
#[derive(Debug)]
pub(crate) struct AppSetup {
    /// The port of the manifest; a free one is chosen when absent.
    pub(crate) port: Option<u16>,
    /// Whether it is expected to listen: it is called, has a route, or names a port.
    pub(crate) listens: bool,
    /// Where its Dapr API listens.
    pub(crate) api: SocketAddr,
    /// The secret of that API.
    pub(crate) token: Arc<str>,
    /// `OTEL_SERVICE_NAME` in its environment.
    pub(crate) service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` in its environment.
    pub(crate) resource_attributes: Option<String>,
}

/// The surroundings of the replicas of one manifest on this machine.
#[derive(Debug)]
pub(crate) struct LocalSurroundings {
    system: String,
    otlp_endpoint: Option<String>,
    apps: HashMap<AppId, AppSetup>,
    book: PortBook,
    /// The port that each replica was given last, so that it keeps it over restarts.
    given: Mutex<HashMap<ReplicaId, u16>>,
    mesh: Mesh,
}

impl LocalSurroundings {
    /// For the replicas of `apps`.
    pub(crate) fn new(
        system: &str,
        otlp_endpoint: Option<String>,
        apps: HashMap<AppId, AppSetup>,
        mesh: Mesh,
    ) -> Self {
        let reserved: Vec<u16> = apps.values().filter_map(|app| app.port).collect();
        Self {
            system: system.to_owned(),
            otlp_endpoint,
            apps,
            book: PortBook::new(reserved),
            given: Mutex::default(),
            mesh,
        }
    }

    fn port(&self, replica: &ReplicaId, fixed: Option<u16>) -> Result<u16, PrepareError> {
        if let Some(port) = fixed {
            return if ports::is_free(port) {
                Ok(port)
            } else {
                Err(PrepareError(ports::taken(port)))
            };
        }
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        match given.get(replica) {
            Some(port) if ports::is_free(*port) => Ok(*port),
            // None yet, or somebody else took it in between.
            _ => {
                let port = self
                    .book
                    .choose()
                    .map_err(|error| PrepareError(error.to_string()))?;
                given.insert(replica.clone(), port);
                Ok(port)
            }
        }
    }
}

impl Surroundings for LocalSurroundings {
    fn prepare(&self, replica: &ReplicaId) -> Result<Prepared, PrepareError> {
        let Some(app) = self.apps.get(&replica.app) else {
            return Err(PrepareError(format!("there is no app called `{}`", replica.app)));
        };
        let port = self.port(replica, app.port)?;
        let source = Source {
            system: &self.system,
            api: app.api,
            token: &app.token,
            otlp_endpoint: self.otlp_endpoint.as_deref(),
            service_name: app.service_name.as_deref(),
            resource_attributes: app.resource_attributes.as_deref(),
        };
        Ok(Prepared {
            port: app.listens.then_some(port),
            env: environment::variables(replica, port, &source),
        })
    }

    fn drain<'a>(
        &'a self,
        replica: &'a ReplicaId,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.mesh.drain(replica, limit))
    }

    fn probe<'a>(
        &'a self,
        probe: &'a NetworkProbe,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(try_probe(probe))
    }
}

/// Makes one probe. The caller bounds the time by dropping the future.
pub(crate) async fn try_probe(probe: &NetworkProbe) -> Result<(), String> {
    match probe {
        NetworkProbe::Tcp { port } => client::connects((Ipv4Addr::LOCALHOST, *port).into())
            .await
            .map_err(|error| explain(&error)),
        NetworkProbe::Http { port, path } => {
            let request = Request::get(path.as_str())
                .body(Body::empty())
                .map_err(|error| error.to_string())?;
            let response = client::send((Ipv4Addr::LOCALHOST, *port).into(), request)
                .await
                .map_err(|error| explain(&error))?;
            // Kubernetes: any code from 200 up to 399 indicates success.
            match response.status().as_u16() {
                200..400 => Ok(()),
                status => Err(format!("answered {status}")),
            }
        }
    }
}

/// An error in a few words; the full text of the operating system holds a number that helps nobody.
fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}
