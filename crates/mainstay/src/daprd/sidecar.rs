//! The servers of a sidecar and what is behind them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use mainstay_api::wire::System;
use mainstay_api::{
    AppMetadata, AppServerOptions, AppToken, HealthCheck, Limits, Metrics, MetricsOptions, Server, serve_app,
    serve_metrics, serve_public,
};
use mainstay_base::AppId;
use mainstay_mesh::{AppProtocol, Mesh, MeshOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cache_servers::CacheServers;
use crate::clock;
use crate::components::{self, Opened, Planned, Secured, Surroundings};
use crate::daprd::args::{Args, Protocol};
use crate::daprd::health::{self, Probing};
use crate::daprd::topology::{self, Files};
use crate::failure::Failure;
use crate::resources::Resources;
use crate::run::{listen, traces};

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// A running sidecar.
#[derive(Debug)]
pub(crate) struct Sidecar {
    mesh: Mesh,
    servers: Vec<Server>,
    health: Option<JoinHandle<()>>,
    components: Opened,
}

impl Sidecar {
    /// Starts it. A shutdown that is asked for over the API is passed to `wish`.
    pub(crate) async fn start(args: &Args, wish: mpsc::Sender<()>) -> Result<Self, Failure> {
        let app = AppId::new(&args.app_id).map_err(|error| Failure::usage(format!("--app-id: {error}")))?;
        let protocol = protocol(args.app_protocol)?;
        let Files {
            resources,
            components,
            secret_scopes,
        } = topology::files(args)?;
        let metrics = Metrics::default();
        let components = open_components(&app, &components, &metrics).await?;
        let secured = secure(&resources, &components).await?;
        let app_token = secret("APP_API_TOKEN")
            .map(|token| HeaderValue::from_str(&token))
            .transpose()
            .map_err(|_| Failure::usage("APP_API_TOKEN is not the value of a header"))?;
        let mesh = Mesh::start(MeshOptions {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            traces: traces::export(|name| std::env::var(name).ok())?,
        })
        .map_err(|error| Failure::refused(error.to_string()))?;
        let parts = (app_token, &secured);
        mesh.configure(topology::topology(&app, protocol, args, &resources, parts));

        let healthy = Arc::new(AtomicBool::new(args.app_port().is_none()));
        let ready = Arc::clone(&healthy);
        let options = AppServerOptions {
            app: app.clone(),
            token: secret("DAPR_API_TOKEN").map(|token| AppToken::new(&token)),
            limits: Limits {
                head_bytes: args.read_buffer_size,
                body_bytes: args.max_body_size,
                ..Limits::default()
            },
            ready: Arc::new(move || ready.load(Ordering::Relaxed)),
            shutdown: Arc::new(move || {
                // A wish that is not the first one finds the channel full, and is granted by the first.
                let _ = wish.try_send(());
            }),
            metadata: app_metadata(args, protocol, &resources),
            blocks: components.blocks(app.as_str(), secret_scopes),
            caches: Arc::default(),
            metrics,
        };
        let servers = open_all(args, &options, &mesh)?;
        let health = args
            .app_port()
            .map(|port| channel_address(&args.app_channel_address, port))
            .transpose()?
            .map(|address| {
                tokio::spawn(health::watch(
                    app,
                    address,
                    probing(args),
                    (mesh.clone(), healthy),
                ))
            });
        Ok(Self {
            mesh,
            servers,
            health,
            components,
        })
    }

    /// Lets calls under way end, at most for `limit`, and ends.
    pub(crate) async fn stop(self, limit: Duration) {
        let stopping = self
            .servers
            .into_iter()
            .map(|server| tokio::spawn(server.stop(limit)));
        for server in stopping.collect::<Vec<_>>() {
            // A panic there ends this server, and the others still have to be waited for.
            let _ = server.await;
        }
        if let Some(health) = self.health {
            health.abort();
        }
        self.mesh.stop(LAST_SPANS).await;
        self.components.close().await;
    }
}

fn app_metadata(args: &Args, protocol: AppProtocol, resources: &Resources) -> AppMetadata {
    AppMetadata {
        port: args.app_port(),
        is_callable: args.app_port().is_some(),
        protocol,
        channel_address: Some(args.app_channel_address.clone()),
        max_concurrency: args.max_concurrency(),
        health: health_check(args),
        http_endpoints: resources
            .endpoints
            .iter()
            .map(|endpoint| endpoint.name.to_string())
            .collect(),
        ..AppMetadata::default()
    }
}

async fn open_components(app: &AppId, planned: &[Planned], metrics: &Metrics) -> Result<Opened, Failure> {
    let node = node(app);
    let namespace = components::namespace();
    let around = Surroundings {
        store: None,
        dir: Path::new(""),
        data_dir: Path::new(""),
        namespace: &namespace,
        node: &node,
        // Sidecars of a namespace share what is cached on a Redis.
        cache_servers: &CacheServers::new(&format!("daprd {namespace}")),
        metrics,
    };
    Opened::open(planned, around).await
}

/// The name of this sidecar among those that share components. It has no data directory to keep one in, and a new one with each
/// start would make values that merge grow.
fn node(app: &AppId) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{app}@{}", machine.trim())
}

/// Fetches the secrets of external services.
async fn secure(resources: &Resources, components: &Opened) -> Result<HashMap<AppId, Secured>, Failure> {
    let mut secured = HashMap::new();
    for endpoint in &resources.endpoints {
        let fetching = components.secure(endpoint.name.as_str(), &endpoint.headers, endpoint.tls.as_ref());
        secured.insert(endpoint.name.clone(), fetching.await?);
    }
    Ok(secured)
}

/// Opens every port, each on every address it is wanted on.
fn open_all(args: &Args, options: &AppServerOptions, mesh: &Mesh) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for address in &args.dapr_listen_addresses {
        for (name, flag, port) in [
            ("HTTP", "--dapr-http-port", args.dapr_http_port),
            ("gRPC", "--dapr-grpc-port", args.dapr_grpc_port),
        ] {
            let listener = listen(at(address, port)?, &format!("the {name} API"), flag)?;
            let server =
                serve_app(listener, options.clone(), mesh.clone()).map_err(|error| unserved(&error))?;
            tracing::info!("{name} API on {}", server.address());
            servers.push(server);
        }
    }
    if let Some(port) = args.dapr_public_port {
        let address = at(&args.dapr_public_listen_address, port)?;
        let listener = listen(address, "the public API", "--dapr-public-port")?;
        let server =
            serve_public(listener, options.clone(), mesh.clone()).map_err(|error| unserved(&error))?;
        tracing::info!("health and metadata on {}", server.address());
        servers.push(server);
    }
    if args.enable_metrics {
        let address = at(&args.metrics_listen_address, args.metrics_port)?;
        let listener = listen(address, "the metrics", "--metrics-port")?;
        let metrics = MetricsOptions {
            limits: Limits::default(),
            metrics: options.metrics.clone(),
            system: Arc::new(about(args)),
        };
        let server = serve_metrics(listener, metrics, mesh).map_err(|error| unserved(&error))?;
        tracing::info!("metrics on {}", server.address());
        servers.push(server);
    }
    Ok(servers)
}

fn about(args: &Args) -> System {
    System {
        name: args.app_id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_unix_ms: clock::unix_ms(),
        control_url: String::new(),
        ingress_url: None,
        apps: Vec::new(),
    }
}

fn protocol(protocol: Protocol) -> Result<AppProtocol, Failure> {
    match protocol {
        Protocol::Http => Ok(AppProtocol::Http),
        Protocol::H2c => Ok(AppProtocol::H2c),
        Protocol::Grpc => Ok(AppProtocol::Grpc),
        Protocol::Https | Protocol::Grpcs => Err(Failure::usage(
            "--app-protocol: apps are spoken to without TLS: use http, h2c or grpc on a loopback address",
        )),
    }
}

/// An address to listen on; a wildcard and an empty text mean every address, as in Go.
fn at(address: &str, port: u16) -> Result<SocketAddr, Failure> {
    let text = address.trim().trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = match text {
        "" | "*" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        text => text.parse().map_err(|_| {
            Failure::usage(format!(
                "`{address}` is not an address to listen on: write 127.0.0.1"
            ))
        })?,
    };
    Ok((ip, port).into())
}

fn channel_address(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let wrong = |reason: String| Failure::usage(format!("--app-channel-address {host}: {reason}"));
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    found
        .next()
        .ok_or_else(|| wrong("the name has no address".to_owned()))
}

fn probing(args: &Args) -> Option<Probing> {
    let health = &args.health;
    health.enable_app_health_check.then(|| Probing {
        path: probed_path(args),
        interval: health.interval(),
        timeout: health.timeout(),
        threshold: health.app_health_threshold,
    })
}

fn health_check(args: &Args) -> Option<HealthCheck> {
    probing(args).map(|probing| HealthCheck {
        path: probing.path,
        interval: probing.interval,
        timeout: probing.timeout,
        threshold: probing.threshold,
    })
}

/// A gRPC app is probed by connecting to it.
fn probed_path(args: &Args) -> Option<String> {
    let path = &args.health.app_health_check_path;
    let path = if path.starts_with('/') {
        path.clone()
    } else {
        format!("/{path}")
    };
    (args.app_protocol == Protocol::Http).then_some(path)
}

/// A secret of the environment; an empty one is none.
fn secret(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn unserved(error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot listen: {error}"))
}
