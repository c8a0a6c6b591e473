//! `mainstay daprd`: a sidecar for an app that somebody else runs.

use std::net::SocketAddr;

use http::Response;
use rustix::process::Signal;

use crate::harness::process::Process;
use crate::harness::system::{command, command_at, run};
use crate::harness::{Backend, Client, eventually, metrics::Metrics};

/// A sidecar on free ports.
struct Sidecar {
    process: Process,
}

impl Sidecar {
    fn start(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut all = vec![
            "daprd",
            "--app-id",
            "orders",
            "--dapr-http-port",
            "0",
            "--dapr-grpc-port",
            "0",
        ];
        if !arguments.iter().any(|argument| argument.contains("metrics")) {
            all.push("--enable-metrics=false");
        }
        all.extend(arguments);
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            process: Process::start(&mut command(&all, &env)),
        }
    }

    /// Where the server listens that is announced like this.
    async fn address(&self, announced: &str) -> SocketAddr {
        let line = self.process.line_with(announced).await;
        line.rsplit(' ')
            .next()
            .expect("an address")
            .parse()
            .expect("an address")
    }

    async fn http(&self) -> Client {
        Client::new(self.address("HTTP API on ").await)
    }

    /// Waits until it says that the app takes calls.
    async fn healthy(&self) {
        let http = self.http().await;
        eventually("the app takes calls", async || {
            (http.get("/v1.0/healthz").await.status == 204).then_some(())
        })
        .await;
    }
}

async fn app() -> Backend {
    Backend::start(|(head, _)| {
        let status = if head.uri.path() == "/healthz" && head.uri.query().is_some() {
            500
        } else {
            200
        };
        Response::builder()
            .status(status)
            .body(format!("{} {}", head.method, head.uri))
            .expect("an answer")
    })
    .await
}

#[tokio::test]
async fn an_app_is_called_through_both_ports_with_its_token() {
    let app = app().await;
    let port = app.address.port().to_string();
    let env = [("DAPR_API_TOKEN", "of-dapr"), ("APP_API_TOKEN", "of-app")];
    // One dash is as good as two.
    let sidecar = Sidecar::start(&["-app-port", &port, "-app-protocol=http"], &env);
    sidecar.healthy().await;
    let refused = sidecar.http().await.get("/v1.0/invoke/orders/method/x").await;
    assert_eq!(
        (refused.status.as_u16(), refused.text().trim()),
        (401, "invalid api token")
    );
    for announced in ["HTTP API on ", "gRPC API on "] {
        let client = Client::new(sidecar.address(announced).await).with("dapr-api-token", "of-dapr");
        let answer = client.get("/v1.0/invoke/orders/method/a?b=c").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "GET /a?b=c")
        );
        let metadata = client.get("/v1.0/metadata").await.json();
        assert_eq!(metadata["id"], "orders");
        assert_eq!(metadata["appConnectionProperties"]["port"], app.address.port());
    }
    let (arrived, _) = app.arrived().pop().expect("a request");
    assert_eq!(arrived.headers["dapr-api-token"], "of-app");
    let log = sidecar.process.log();
    assert!(!log.contains("of-dapr") && !log.contains("of-app"), "{log}");
}

#[tokio::test]
async fn what_is_noted_on_one_port_is_seen_on_the_other() {
    let sidecar = Sidecar::start(&[], &[]);
    let grpc = Client::new(sidecar.address("gRPC API on ").await);
    let noted = sidecar
        .http()
        .await
        .send(http::Method::PUT, "/v1.0/metadata/cliPID", "42".into())
        .await;
    assert_eq!(noted.status, 204);
    assert_eq!(
        grpc.get("/v1.0/metadata").await.json()["extended"]["cliPID"],
        "42"
    );
}

#[tokio::test]
async fn it_is_outbound_healthy_at_once_and_healthy_when_the_app_listens() {
    let later = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = later.local_addr().expect("an address").port();
    drop(later);
    let sidecar = Sidecar::start(&["--app-port", &port.to_string()], &[]);
    let http = sidecar.http().await;
    assert_eq!(http.get("/v1.0/healthz/outbound").await.status, 204);
    let answer = http.get("/v1.0/healthz").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["errorCode"]),
        (500, &"ERR_HEALTH_NOT_READY".into())
    );
    let _app = Backend::start_on(([127, 0, 0, 1], port).into(), |_| {
        Response::new("here".to_owned())
    })
    .await;
    sidecar.healthy().await;
    assert_eq!(http.get("/v1.0/invoke/orders/method/x").await.text(), "here");
}

#[tokio::test]
async fn a_failing_health_check_takes_the_app_out() {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = std::sync::Arc::clone(&broken);
    let app = Backend::start(move |_| {
        let broken = state.load(std::sync::atomic::Ordering::Relaxed);
        Response::builder()
            .status(if broken { 500 } else { 200 })
            .body(String::new())
            .expect("an answer")
    })
    .await;
    let port = app.address.port().to_string();
    let flags = [
        "--app-port",
        &port,
        "--enable-app-health-check",
        "--app-health-check-path",
        "/alive",
        "--app-health-probe-interval",
        "1",
        "--app-health-threshold",
        "1",
    ];
    let sidecar = Sidecar::start(&flags, &[]);
    sidecar.healthy().await;
    assert!(app.arrived().iter().all(|(head, _)| head.uri == "/alive"));
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    sidecar.process.line_with("the app takes no more calls").await;
    let answer = sidecar.http().await.get("/v1.0/invoke/orders/method/x").await;
    assert_eq!(answer.header("mainstay-reason"), "no_replica", "{answer:?}");
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    sidecar.healthy().await;
}

#[tokio::test]
async fn resources_name_external_services_and_components() {
    let partner = Backend::start(|(head, _)| Response::new(head.uri.to_string())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: {{ name: partner }}
spec:
  baseUrl: http://{}
  headers: [{{ name: x-key, value: abc }}]
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: statestore }}
spec: {{ type: state.in-memory, version: v1 }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: orders }}
spec: {{ type: pubsub.kafka, version: v1 }}
",
        partner.address
    );
    std::fs::write(folder.path().join("resources.yaml"), text).expect("a file");
    let path = folder.path().to_str().expect("text");
    let sidecar = Sidecar::start(&["--resources-path", path], &[]);
    let answer = sidecar
        .http()
        .await
        .get("/v1.0/invoke/partner/method/a?b=c")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "/a?b=c"),
        "{answer:?}"
    );
    assert_eq!(partner.arrived()[0].0.headers["x-key"], "abc");
    sidecar
        .process
        .line_with("the component `orders` is not used")
        .await;
    let api = sidecar.http().await;
    let saved = api
        .post("/v1.0/state/statestore", r#"[{"key":"a","value":1}]"#)
        .await;
    assert_eq!(saved.status, 204, "{saved:?}");
    assert_eq!(api.get("/v1.0/state/statestore/a").await.text(), "1");
    let without = api.get("/v1.0/configuration/configstore").await;
    assert_eq!(
        without.status, 500,
        "a sidecar has what its files declare, {without:?}"
    );
    let metadata = api.get("/v1.0/metadata").await.json();
    assert_eq!(metadata["httpEndpoints"][0]["name"], "partner");
    assert_eq!(metadata["components"][0]["type"], "state.in-memory");
}

#[tokio::test]
async fn a_timeout_of_a_resiliency_resource_holds_and_without_one_nothing_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: r }
spec:
  policies: { timeouts: { short: 200ms } }
  targets: { apps: { orders: { timeout: short } } }
";
    std::fs::write(folder.path().join("resiliency.yaml"), text).expect("a file");
    let app = Backend::start_slow(std::time::Duration::from_millis(2_500)).await;
    let port = app.address.port().to_string();
    let path = folder.path().to_str().expect("text");
    let bounded = Sidecar::start(&["--app-port", &port, "--resources-path", path], &[]);
    bounded.healthy().await;
    let answer = bounded
        .http()
        .await
        .post("/v1.0/invoke/orders/method/x", "")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("mainstay-reason")),
        (504, "attempt_timeout"),
        "{answer:?}"
    );
    let free = Sidecar::start(&["--app-port", &port], &[]);
    free.healthy().await;
    let answer = free.http().await.post("/v1.0/invoke/orders/method/x", "").await;
    assert_eq!(answer.status, 200, "longer than any derived timeout: {answer:?}");
}

#[tokio::test]
async fn metrics_and_the_public_port_need_no_token() {
    let env = [("DAPR_API_TOKEN", "secret")];
    let sidecar = Sidecar::start(&["--metrics-port", "0", "--dapr-public-port", "0"], &env);
    let metrics = Client::new(sidecar.address("metrics on ").await)
        .get("/metrics")
        .await;
    assert!(!Metrics::parse(&metrics.text()).names.is_empty(), "{metrics:?}");
    let public = Client::new(sidecar.address("health and metadata on ").await);
    assert_eq!(public.get("/v1.0/healthz").await.status, 204);
    assert_eq!(public.get("/v1.0/metadata").await.json()["id"], "orders");
    assert_eq!(public.post("/v1.0/shutdown", "").await.status, 404);
    assert_eq!(public.get("/v1.0/invoke/orders/method/x").await.status, 404);
}

#[tokio::test]
async fn signals_and_shutdown_end_it_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let sidecar = Sidecar::start(&[], &[]);
        sidecar.http().await;
        sidecar.process.signal(signal);
        assert_eq!(
            sidecar.process.wait().await.code(),
            Some(0),
            "{}",
            sidecar.process.log()
        );
    }
    let sidecar = Sidecar::start(&[], &[]);
    assert_eq!(sidecar.http().await.post("/v1.0/shutdown", "").await.status, 204);
    assert_eq!(
        sidecar.process.wait().await.code(),
        Some(0),
        "{}",
        sidecar.process.log()
    );
}

#[tokio::test]
async fn flags_without_effect_are_told_and_wrong_values_are_refused() {
    let flags = [
        "--placement-host-address",
        "localhost:50005",
        "--enable-mtls=false",
        "--log-as-json",
    ];
    let sidecar = Sidecar::start(&flags, &[]);
    let line = sidecar
        .process
        .line_with("--placement-host-address has no effect")
        .await;
    let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["level"], "INFO");
    for wrong in [
        &["daprd", "--app-id", "not valid"][..],
        &["daprd", "--app-id", "a", "--app-protocol", "smtp"],
        &["daprd", "--app-id", "a", "--app-protocol", "https"],
        &["daprd", "--app-id", "a", "--max-body-size", "4Xi"],
        &["daprd", "--app-id", "a", "--resources-path", "/no/such/folder"],
        &["daprd", "--app-id", "a", "--dapr-listen-addresses", "somewhere"],
    ] {
        let output = run(wrong, &[]).await;
        assert_eq!(output.code, 2, "{wrong:?}: {output:?}");
    }
}

#[tokio::test]
async fn a_taken_port_names_its_holder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = run(&["daprd", "--app-id", "a", "--dapr-http-port", &port], &[]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains(&format!("(pid {})", std::process::id())),
        "{output:?}"
    );
    assert!(output.stderr.contains("--dapr-http-port"), "{output:?}");
}

#[tokio::test]
async fn a_link_called_daprd_is_a_sidecar() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("daprd");
    std::os::unix::fs::symlink(crate::harness::mainstay(), &link).expect("a link");
    let flags = [
        "--app-id",
        "a",
        "--dapr-http-port",
        "0",
        "--dapr-grpc-port",
        "0",
        "--enable-metrics=false",
    ];
    let process = Process::start(&mut command_at(&link, &flags, &[]));
    process.line_with("HTTP API on ").await;
}

#[tokio::test]
async fn a_configuration_says_which_secrets_may_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let secrets = write("secrets.json", r#"{ "a": "1", "b": "2" }"#);
    let component = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: vault }}
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{{ name: secretsFile, value: '{secrets}' }}]
"
    );
    write("resources/vault.yaml", &component);
    let config = "apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: daprsystem }
spec:
  tracing: { samplingRate: '1' }
  secrets: { scopes: [{ storeName: vault, deniedSecrets: [b] }] }
";
    let config = write("config.yaml", config);
    let resources = folder.path().join("resources");
    let path = resources.to_str().expect("text");
    let sidecar = Sidecar::start(&["--resources-path", path, "--config", &config], &[]);
    let api = sidecar.http().await;
    assert_eq!(api.get("/v1.0/secrets/vault/a").await.status, 200);
    assert_eq!(api.get("/v1.0/secrets/vault/b").await.status, 403);
}
