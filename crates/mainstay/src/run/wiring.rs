//! Plugs the components together: manifest in, a running system out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mainstay_api::wire::{System, SystemApp};
use mainstay_api::{
    AppMetadata, AppServerOptions, AppToken, Blocks, CallCaches, ControlOptions, IngressOptions, Limits,
    Metrics, Ready, Route, Server, Shutdown, serve_app, serve_control, serve_ingress,
};
use mainstay_backup::archive::{ArchiveMetrics, Archiver};
use mainstay_backup::{Exports, PresentStore};
use mainstay_base::AppId;
use mainstay_host::{Handle, HostOptions, Probe, ProbeAction, ReplicaState};
use mainstay_mesh::{Mesh, MeshOptions, TraceExport};
use mainstay_store::{Store, Switch};
use tokio::task::JoinHandle;

use crate::archive;
use crate::assembly;
use crate::cache_servers::CacheServers;
use crate::clock;
use crate::components::{self, Opened, Secured, Surroundings};
use crate::data_dir::{Addresses, Lease};
use crate::failure::Failure;
use crate::manifest::{App, INGRESS, Manifest};
use crate::migration;
use crate::run::caches::Caches;
use crate::run::ports;
use crate::run::surroundings::{AppSetup, LocalSurroundings};
use crate::run::traffic;
use crate::secret;

/// How long requests of the control API and of the apps may take to end once all processes have.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What the command line and the environment say.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) control: SocketAddr,
    pub(crate) ingress: SocketAddr,
    pub(crate) traces: Option<TraceExport>,
    /// What apps are told in `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) otlp_endpoint: Option<String>,
}

/// A running system. Everything ends when it is dropped; gracefully when its host was stopped and [`Running::finish`]
/// called.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) host: Handle,
    pub(crate) system: Arc<System>,
    mesh: Mesh,
    ingress: Option<Server>,
    apps: Vec<Server>,
    control: Server,
    traffic: JoinHandle<()>,
    caches: Caches,
    archiver: Option<Archiver>,
    migrations: mainstay_migrate::Running,
    components: Opened,
    _lease: Lease,
}

/// What copies the store while it is used.
struct Copies {
    exports: Exports,
    archiver: Option<Archiver>,
    metrics: Arc<ArchiveMetrics>,
}

impl Copies {
    async fn start(manifest: &Manifest, switch: &Switch) -> Result<Self, Failure> {
        let switch = switch.clone();
        let present: Arc<PresentStore> = Arc::new(move || switch.present());
        let metrics = Arc::new(ArchiveMetrics::default());
        let (plan, system) = (manifest.archive.as_ref(), manifest.name.as_str());
        let archiver = archive::start(plan, system, Arc::clone(&present), Arc::clone(&metrics)).await?;
        Ok(Self {
            exports: Exports::new(present),
            archiver,
            metrics,
        })
    }
}

/// Everything that listens, before anything is served.
struct Listeners {
    control: TcpListener,
    ingress: Option<TcpListener>,
    apps: HashMap<AppId, ApiListener>,
}

struct ApiListener {
    listener: TcpListener,
    address: SocketAddr,
    token: Arc<str>,
}

impl Running {
    /// Starts the system of `manifest`. `stop` is called by the control API.
    pub(crate) async fn start(
        manifest: &Manifest,
        settings: &Settings,
        lease: Lease,
        stop: Shutdown,
    ) -> Result<Self, Failure> {
        let token = lease
            .token()
            .map_err(|error| Failure::refused(format!("cannot make the token: {error}")))?;
        let listeners = Listeners::open(manifest, settings)?;
        let system = Arc::new(listeners.describe(manifest)?);
        let metrics = Metrics::default();
        let (switch, migrations) = migration::start(manifest, lease.path()).await?;
        // Before anybody changes anything.
        let copies = Copies::start(manifest, &switch).await?;
        let store: Arc<dyn Store> = Arc::new(switch);
        let (migration, migrations) = migrations.spawn();
        let cache_servers = CacheServers::new(&manifest.name);
        let components = open_components(manifest, &store, &lease, &cache_servers, &metrics).await?;
        let secured = secure(manifest, &components).await?;
        let mesh = start_mesh(settings.traces.clone())?;
        let assembly = assembly::assemble(manifest);
        mesh.configure(assembly.topology(manifest, app_token, &secured));
        let caches = Caches::open(manifest, &assembly, &cache_servers, &metrics)?;
        let host = start_host(manifest, &listeners, settings, &mesh)?;
        let traffic = tokio::spawn(traffic::follow(host.watch(), mesh.clone()));
        let ingress = listeners
            .ingress
            .map(|listener| open_ingress(listener, manifest, &metrics, &mesh))
            .transpose()?;
        let mut apps = Vec::new();
        let mut api_listeners = listeners.apps;
        for app in &manifest.apps {
            if let Some(api) = api_listeners.remove(app.id()) {
                let blocks = components.blocks(app.id().as_str(), app.secret_scopes.clone());
                let caches = caches.of(app.id());
                let parts = (blocks, caches);
                apps.push(open_api(api, app, manifest, parts, (&metrics, &host, &mesh))?);
            }
        }
        let options = ControlOptions {
            token: AppToken::new(&token),
            limits: Limits::default(),
            shutdown: stop,
            system: Arc::clone(&system),
            hosts: Vec::new(),
            blocks: components.all_blocks(),
            exports: Some(copies.exports),
            migration: Some(migration),
            call_caches: caches.all(),
            metrics,
            collectors: vec![copies.metrics],
        };
        let control = serve_control(listeners.control, options, host.clone(), mesh.clone())
            .map_err(|error| unserved(&error))?;
        let addresses = addresses(&system, control.address(), ingress.as_ref(), &apps, manifest);
        lease.publish(&addresses).map_err(|error| {
            Failure::refused(format!("cannot write to {}: {error}", lease.path().display()))
        })?;
        Ok(Self {
            host,
            system,
            mesh,
            ingress,
            apps,
            control,
            traffic,
            caches,
            archiver: copies.archiver,
            migrations,
            components,
            _lease: lease,
        })
    }

    /// The front door, to be closed before anything else.
    pub(crate) fn take_ingress(&mut self) -> Option<Server> {
        self.ingress.take()
    }

    /// Ends everything else, once the host has stopped. Bounded by a few seconds.
    pub(crate) async fn finish(self) {
        for server in self.apps {
            server.stop(LAST_REQUESTS).await;
        }
        self.traffic.abort();
        self.control.stop(LAST_REQUESTS).await;
        self.caches.close().await;
        self.mesh.stop(LAST_SPANS).await;
        if let Some(archiver) = self.archiver {
            archiver.stop().await;
        }
        self.migrations.stop().await;
        self.components.close().await;
    }
}

impl Listeners {
    /// Binds everything, before anything is started: a taken port costs nothing then.
    fn open(manifest: &Manifest, settings: &Settings) -> Result<Self, Failure> {
        let control = ports::listen(settings.control, "the control API", "--control-addr")?;
        let ingress = if manifest.apps.iter().any(|app| !app.routes.is_empty()) {
            Some(ports::listen(settings.ingress, "the ingress", "--ingress-addr")?)
        } else {
            None
        };
        let mut apps = HashMap::new();
        for app in &manifest.apps {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| unserved(&error))?;
            let address = listener.local_addr().map_err(|error| unserved(&error))?;
            let token = secret::random().map_err(|error| unserved(&error))?.into();
            let api = ApiListener {
                listener,
                address,
                token,
            };
            apps.insert(app.id().clone(), api);
        }
        Ok(Self {
            control,
            ingress,
            apps,
        })
    }

    /// What does not change from now on.
    fn describe(&self, manifest: &Manifest) -> Result<System, Failure> {
        let url = |listener: &TcpListener| {
            Ok::<_, Failure>(url(listener.local_addr().map_err(|error| unserved(&error))?))
        };
        let ingress_url = self.ingress.as_ref().map(url).transpose()?;
        let apps = manifest.apps.iter().filter_map(|app| {
            let routes = app.routes.iter();
            Some(SystemApp {
                app: app.id().to_string(),
                api_url: format!("http://{}", self.apps.get(app.id())?.address),
                ingress_urls: ingress_url
                    .iter()
                    .flat_map(|base| routes.clone().map(move |route| route_url(base, route)))
                    .collect(),
            })
        });
        Ok(System {
            name: manifest.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_unix_ms: clock::unix_ms(),
            control_url: url(&self.control)?,
            apps: apps.collect(),
            ingress_url,
        })
    }
}

async fn open_components(
    manifest: &Manifest,
    store: &Arc<dyn Store>,
    lease: &Lease,
    cache_servers: &CacheServers,
    metrics: &Metrics,
) -> Result<Opened, Failure> {
    let node = lease
        .node()
        .map_err(|error| Failure::refused(format!("cannot make the name of this node: {error}")))?;
    let around = Surroundings {
        store: Some(store),
        dir: &manifest.dir,
        data_dir: lease.path(),
        namespace: &components::namespace(),
        node: &node,
        cache_servers,
        metrics,
    };
    Opened::open(&manifest.components, around).await
}

/// Fetches the secrets of external services, which need their stores to be open.
async fn secure(manifest: &Manifest, components: &Opened) -> Result<HashMap<AppId, Secured>, Failure> {
    let mut secured = HashMap::new();
    for external in &manifest.externals {
        let fetching = components.secure(external.name.as_str(), &external.headers, external.tls.as_ref());
        secured.insert(external.name.clone(), fetching.await?);
    }
    Ok(secured)
}

fn start_mesh(traces: Option<TraceExport>) -> Result<Mesh, Failure> {
    let options = MeshOptions {
        workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        traces,
    };
    Mesh::start(options).map_err(|error| Failure::refused(error.to_string()))
}

fn start_host(
    manifest: &Manifest,
    listeners: &Listeners,
    settings: &Settings,
    mesh: &Mesh,
) -> Result<Handle, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::refused(format!("cannot tell where this program is: {error}")))?;
    let options = HostOptions::new(vec![program.into(), crate::GUARD.into()]);
    let setup = |app: &App| {
        let api = listeners.apps.get(app.id())?;
        let setup = AppSetup {
            port: app.port,
            listens: listens(manifest, app),
            api: api.address,
            token: Arc::clone(&api.token),
            service_name: variable(app, "OTEL_SERVICE_NAME"),
            resource_attributes: variable(app, "OTEL_RESOURCE_ATTRIBUTES"),
        };
        Some((app.id().clone(), setup))
    };
    let apps = manifest.apps.iter().filter_map(setup).collect();
    let surroundings =
        LocalSurroundings::new(&manifest.name, settings.otlp_endpoint.clone(), apps, mesh.clone());
    let specs = manifest.apps.iter().map(|app| app.spec.clone()).collect();
    mainstay_host::start(options, specs, Arc::new(surroundings))
        .map_err(|error| Failure::refused(error.to_string()))
}

/// A variable in the environment that the manifest gives to an app; the later one wins.
fn variable(app: &App, name: &str) -> Option<String> {
    let mut variables = app.spec.env.iter().rev();
    variables
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.clone())
}

/// The token that an app expects of its runtime: what its own environment says.
fn app_token(app: &App) -> Option<HeaderValue> {
    let mut token: HeaderValue = variable(app, "APP_API_TOKEN")?.parse().ok()?;
    token.set_sensitive(true);
    Some(token)
}

/// Whether an app is expected to listen: one that nobody calls, that has no route and names no port is ready as soon as
/// it runs.
fn listens(manifest: &Manifest, app: &App) -> bool {
    let is_called = || {
        let calls = manifest.apps.iter().flat_map(|caller| &caller.calls);
        calls.clone().any(|call| call.target == *app.id())
    };
    let on_own_port = |probe: &Probe| {
        matches!(
            probe.action,
            ProbeAction::Http { port: None, .. } | ProbeAction::Tcp { port: None }
        )
    };
    let probes = &app.spec.probes;
    let mut probes = [&probes.startup, &probes.readiness, &probes.liveness]
        .into_iter()
        .flatten();
    app.port.is_some() || !app.routes.is_empty() || is_called() || probes.any(on_own_port)
}

fn open_ingress(
    listener: TcpListener,
    manifest: &Manifest,
    metrics: &Metrics,
    mesh: &Mesh,
) -> Result<Server, Failure> {
    let options = IngressOptions {
        caller: AppId::new(INGRESS).map_err(|error| Failure::refused(error.to_string()))?,
        routes: manifest.apps.iter().flat_map(|app| app.routes.clone()).collect(),
        limits: Limits::default(),
        metrics: metrics.clone(),
    };
    serve_ingress(listener, options, mesh.clone()).map_err(|error| unserved(&error))
}

fn open_api(
    api: ApiListener,
    app: &App,
    manifest: &Manifest,
    (blocks, caches): (Arc<Blocks>, Arc<CallCaches>),
    (metrics, host, mesh): (&Metrics, &Handle, &Mesh),
) -> Result<Server, Failure> {
    let externals = manifest.externals.iter().map(|external| &external.name);
    let may_call = |name: &&AppId| app.calls.iter().any(|call| call.target == **name);
    let (id, stopping) = (app.id().clone(), host.clone());
    let options = AppServerOptions {
        app: app.id().clone(),
        token: Some(AppToken::new(&api.token)),
        limits: Limits::default(),
        ready: readiness(app.id(), host),
        shutdown: Arc::new(move || {
            // It has been started by this host, so it is known there.
            let _ = stopping.stop_app(&id);
        }),
        metadata: AppMetadata {
            port: app.port,
            is_callable: true,
            protocol: app.protocol,
            max_concurrency: app.promise.sla.concurrency,
            http_endpoints: externals.filter(may_call).map(AppId::to_string).collect(),
            ..AppMetadata::default()
        },
        blocks,
        caches,
        metrics: metrics.clone(),
    };
    serve_app(api.listener, options, mesh.clone()).map_err(|error| unserved(&error))
}

/// Whether a replica of `app` takes traffic.
fn readiness(app: &AppId, host: &Handle) -> Ready {
    let (app, snapshots) = (app.clone(), host.watch());
    Arc::new(move || {
        let snapshot = snapshots.borrow();
        let status = snapshot.apps.iter().find(|status| status.app == app);
        status.is_some_and(|status| {
            let mut replicas = status.replicas.iter();
            replicas.any(|replica| replica.state == ReplicaState::Ready)
        })
    })
}

fn addresses(
    system: &System,
    control: SocketAddr,
    ingress: Option<&Server>,
    apps: &[Server],
    manifest: &Manifest,
) -> Addresses {
    let names = manifest.apps.iter().map(|app| app.id().to_string());
    Addresses {
        pid: system.pid,
        name: system.name.clone(),
        control,
        ingress: ingress.map(Server::address),
        apps: names.zip(apps.iter().map(Server::address)).collect(),
    }
}

/// The URL under which `address` is reached from this machine.
fn url(address: SocketAddr) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// The URL of a route: its host, where it names one, in place of the address.
fn route_url(base: &str, route: &Route) -> String {
    match &route.host {
        None => format!("{base}{}", route.path),
        Some(host) => {
            let port = base.rsplit(':').next().unwrap_or_default();
            format!("http://{host}:{port}{}", route.path)
        }
    }
}

fn unserved(error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot listen: {error}"))
}
