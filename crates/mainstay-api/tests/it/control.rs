//! The control API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use mainstay_api::wire::{LogLine, Problem, Status, System, SystemApp};
use mainstay_api::{AppToken, Blocks, ControlOptions, Limits, Metrics, Server, serve_control};
use mainstay_backup::Exports;
use mainstay_base::ReplicaId;
use mainstay_base::metric::Collect;
use mainstay_host::{Handle, HostOptions, NetworkProbe, PrepareError, Prepared, Surroundings};
use mainstay_mesh::{Body, Mesh};

use crate::support::{Answer, Callee, echo, listener, mesh, raw, request, send};

/// Nothing runs here, so nothing is needed.
struct Nothing;

impl Surroundings for Nothing {
    fn prepare(&self, _: &ReplicaId) -> Result<Prepared, PrepareError> {
        Ok(Prepared::default())
    }

    fn drain<'a>(&'a self, _: &'a ReplicaId, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }

    fn probe<'a>(
        &'a self,
        _: &'a NetworkProbe,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(crate) struct Control {
    server: Server,
    mesh: Mesh,
    host: Handle,
    stops: Arc<AtomicUsize>,
    metrics: Metrics,
}

impl Control {
    async fn start() -> Self {
        Self::with(Arc::default()).await
    }

    /// The same with components.
    pub(crate) async fn with(blocks: Arc<Blocks>) -> Self {
        Self::with_all(blocks, None, None).await
    }

    /// The same with a store that can be backed up.
    pub(crate) async fn with_exports(blocks: Arc<Blocks>, exports: Option<Exports>) -> Self {
        Self::with_all(blocks, exports, None).await
    }

    /// The same that moves what is stored.
    pub(crate) async fn migrating(migration: mainstay_migrate::Handle) -> Self {
        Self::with_all(Arc::default(), None, Some(migration)).await
    }

    async fn with_all(
        blocks: Arc<Blocks>,
        exports: Option<Exports>,
        migration: Option<mainstay_migrate::Handle>,
    ) -> Self {
        let mesh = mesh(&[Callee::http("back", echo().await)], Vec::new());
        let host = mainstay_host::start(HostOptions::new(Vec::new()), Vec::new(), Arc::new(Nothing)).unwrap();
        let stops = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&stops);
        let metrics = Metrics::default();
        let options = ControlOptions {
            call_caches: Vec::new(),
            token: AppToken::new("secret"),
            limits: Limits::default(),
            shutdown: Arc::new(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            }),
            system: Arc::new(system()),
            hosts: vec!["mainstay.internal".to_owned()],
            blocks,
            exports,
            migration,
            metrics: metrics.clone(),
            collectors: Vec::new(),
        };
        let server = serve_control(listener(), options, host.clone(), mesh.clone()).unwrap();
        Self {
            server,
            mesh,
            host,
            stops,
            metrics,
        }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str) -> Answer {
        self.send(method, path, "").await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops what runs, and so the system.
    pub(crate) fn stop_host(&self) {
        self.host.stop();
    }

    /// Sends a request with a body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let headers = [("authorization", "Bearer secret")];
        let request = request(method, path, &headers).map(|_| Body::full(body));
        send(self.server.address(), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }
}

fn system() -> System {
    System {
        name: "shop".into(),
        version: "0.1.0".into(),
        pid: 7,
        started_unix_ms: 1_700_000_000_000,
        control_url: "http://127.0.0.1:4400".into(),
        ingress_url: None,
        apps: vec![SystemApp {
            app: "back".into(),
            api_url: "http://127.0.0.1:3500".into(),
            ingress_urls: Vec::new(),
        }],
    }
}

#[tokio::test]
async fn only_health_is_open() {
    let control = Control::start().await;
    let address = control.server.address();
    let health = send(address, request(Method::GET, "/healthz", &[])).await;
    assert_eq!(health.told(), (200, "ok\n"));
    for shown in [
        None,
        Some("Bearer wrong"),
        Some("Basic secret"),
        Some("Bearer "),
        Some("secret"),
    ] {
        for path in [
            "/api/system",
            "/api/status",
            "/api/logs",
            "/metrics",
            "/api/stop",
            "/api/components",
            "/api/state/statestore/keys",
            "/api/config/configstore/keys/k/undo",
            "/api/secrets/secretstore/names/s?reveal=true",
            "/api/migration",
            "/api/migration/cut-over",
            "/nowhere",
            "/healthz/",
        ] {
            let headers: Vec<_> = shown.map(|value| ("authorization", value)).into_iter().collect();
            for method in [Method::GET, Method::POST] {
                let answer = send(address, request(method, path, &headers)).await;
                assert_eq!(answer.status.as_u16(), 401, "{path} {shown:?}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
                let problem: Problem = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem.error_code, "ERR_UNAUTHORIZED");
            }
        }
    }
    assert_eq!(control.stops.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn pages_of_others_are_refused_even_with_the_token() {
    let control = Control::start().await;
    let address = control.server.address();
    for (host, origin, status) in [
        ("127.0.0.1:4400", None, 200),
        ("localhost", Some("http://localhost:4400"), 200),
        ("mainstay.internal", None, 200),
        ("evil.example", None, 403),
        ("127.0.0.1:4400", Some("http://evil.example"), 403),
        ("127.0.0.1:4400", Some("null"), 403),
    ] {
        let mut headers = vec![("host", host), ("authorization", "Bearer secret")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = send(address, request(Method::GET, "/api/system", &headers)).await;
        assert_eq!(answer.status.as_u16(), status, "{host} {origin:?}");
    }
    let health = send(
        address,
        request(Method::GET, "/healthz", &[("host", "evil.example")]),
    )
    .await;
    assert_eq!(health.status.as_u16(), 403);
}

#[tokio::test]
async fn system_and_status_are_told_in_their_types() {
    let control = Control::start().await;
    let answer = control.get("/api/system").await;
    assert_eq!(serde_json::from_str::<System>(&answer.body).unwrap(), system());
    let answer = control.get("/api/status").await;
    let status: Status = serde_json::from_str(&answer.body).unwrap();
    assert!(!status.stopping);
    assert_eq!(status.apps, []);
    let report = control.mesh.report();
    let edges: Vec<_> = report.edges.iter().map(|edge| edge.target.to_string()).collect();
    let told: Vec<_> = status.edges.iter().map(|edge| edge.target.clone()).collect();
    assert_eq!(told, edges);
}

#[tokio::test]
async fn stop_stops_and_unknown_apps_are_404() {
    let control = Control::start().await;
    assert_eq!(control.ask(Method::POST, "/api/stop").await.told(), (202, "{}"));
    assert_eq!(control.stops.load(Ordering::SeqCst), 1);
    for name in ["nobody", "a.b", ""] {
        let answer = control
            .ask(Method::POST, &format!("/api/apps/{name}/restart"))
            .await;
        let body =
            format!(r#"{{"errorCode":"ERR_UNKNOWN_APP","message":"there is no app called `{name}`"}}"#);
        assert_eq!(answer.told(), (404, body.as_str()));
    }
    let answer = control.get("/api/logs?app=nobody").await;
    assert_eq!(answer.status.as_u16(), 404);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told() {
    let control = Control::start().await;
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "ERR_NOT_FOUND"),
        (Method::POST, "/api/status", 405, "ERR_METHOD_NOT_ALLOWED"),
        (Method::GET, "/api/stop", 405, "ERR_METHOD_NOT_ALLOWED"),
        (Method::GET, "/api/apps/x/restart", 405, "ERR_METHOD_NOT_ALLOWED"),
        (Method::GET, "/api/logs?tail=x", 400, "ERR_BAD_REQUEST"),
    ] {
        let answer = control.ask(method, path).await;
        let problem: Problem = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (answer.status.as_u16(), problem.error_code.as_str()),
            (status, code),
            "{path}"
        );
    }
}

#[tokio::test]
async fn logs_end_with_the_host_when_they_are_followed() {
    let control = Control::start().await;
    let answer = control.get("/api/logs").await;
    assert_eq!(answer.told(), (200, ""));
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let followed = control.get("/api/logs?follow=true&tail=5");
    let (answer, ()) = tokio::join!(followed, async { control.host.stop() });
    for line in answer.body.lines() {
        serde_json::from_str::<LogLine>(line).unwrap();
    }
}

#[tokio::test]
async fn metrics_are_those_of_the_tables() {
    let control = Control::start().await;
    let answer = control.get("/metrics").await;
    let content_type = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, content_type)
    );
    let emitted: Vec<_> = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let tables = [
        control.host.metrics(),
        control.mesh.metrics(),
        Arc::new(control.metrics.clone()) as Arc<dyn Collect>,
        Arc::new(control.metrics.caches().clone()),
    ];
    let own = [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
        "mainstay_build_info",
    ];
    let expected: BTreeSet<_> = tables
        .iter()
        .flat_map(|table| table.descriptors())
        .map(|descriptor| descriptor.name)
        .chain(own)
        .collect();
    assert_eq!(emitted.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(emitted.len(), expected.len(), "each is announced once");
    assert!(
        answer.body.contains("mainstay_build_info{version=\"0.1.0\"} 1\n"),
        "{}",
        answer.body
    );
    assert!(
        answer
            .body
            .contains("mainstay_api_connections{server=\"control\"} 1\n"),
        "{}",
        answer.body
    );
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn http_1_0_without_a_host_is_served() {
    let control = Control::start().await;
    let answer = raw(control.server.address(), b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("ok\n"),
        "{answer:?}"
    );
}
