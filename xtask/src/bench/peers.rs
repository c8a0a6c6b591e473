//! The programs that Mainstay is measured against: found or installed, and configured.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::child::{Child, Core};
use super::lab::Lab;
use crate::process::{output, root, run, tool};

/// Installs what is missing for these benches.
pub(crate) fn install(benches: &[&str]) -> Result<()> {
    run(tool("bench/peers.sh").args(benches)).context("the peers cannot be installed")
}

/// A program that Debian may put beside the usual path.
pub(crate) fn program(name: &str) -> String {
    let beside = format!("/usr/sbin/{name}");
    if std::path::Path::new(&beside).exists() {
        beside
    } else {
        name.to_owned()
    }
}

/// The Envoy binary that `bench/peers.sh` has installed.
fn envoy() -> Result<String> {
    let python = root().join("target/bench-tools/bin/python");
    let package = output(tool(python).args(["-c", "import envoy; print(envoy.__path__[0])"]))?;
    Ok(format!("{}/_bin/envoy", package.trim()))
}

/// Names and versions of all peers and load tools.
pub(crate) fn versions() -> Result<Vec<String>> {
    let package = |name: &str| {
        let version = output(tool("dpkg-query").args(["-W", "-f", "${Version}", name]));
        format!(
            "{name} {}",
            version.unwrap_or_else(|_| "(no Debian package)".to_owned())
        )
    };
    let envoy = output(tool(envoy()?).arg("--version"))?;
    let envoy = envoy
        .rsplit("version:")
        .next()
        .and_then(|version| version.split('/').nth(1))
        .unwrap_or("of unknown version")
        .to_owned();
    Ok(vec![
        package("nginx"),
        package("haproxy"),
        format!("Envoy {envoy}"),
        package("wrk"),
        package("nghttp2-client"),
        output(tool("rustc").arg("--version"))?.trim().to_owned(),
    ])
}

/// Body of the backend's answer: 100 bytes.
const BODY: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123";

/// Writes the configuration of an nginx that answers everything by itself; gives the words that start it.
pub(crate) fn nginx_backend(lab: &Lab, name: &str, address: SocketAddr) -> Result<Vec<String>> {
    let location = format!("location / {{ default_type text/plain; return 200 '{BODY}'; }}");
    nginx(lab, name, address, "", &location)
}

/// Starts an nginx in front of `backend`.
pub(crate) fn nginx_proxy(lab: &Lab, address: SocketAddr, backend: SocketAddr) -> Result<Child> {
    let upstream =
        format!("upstream backend {{ server {backend}; keepalive 128; keepalive_requests 100000000; }}");
    let location =
        "location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ''; }";
    let words = nginx(lab, "nginx", address, &upstream, location)?;
    lab.start(
        "nginx",
        Core::Proxy,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
        &[],
    )
}

fn nginx(lab: &Lab, name: &str, address: SocketAddr, upstream: &str, location: &str) -> Result<Vec<String>> {
    let dir = lab.path().display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = kinds
        .map(|kind| format!("  {kind}_temp_path {dir}/{name}-{kind};\n"))
        .concat();
    let text = format!(
        "worker_processes 1;\ndaemon off;\nerror_log {dir}/{name}.error warn;\npid {dir}/{name}.pid;\n\
         events {{ worker_connections 4096; }}\nhttp {{\n  access_log off;\n{temporary}  {upstream}\n  \
         server {{ listen {address}; keepalive_requests 100000000; {location} }}\n}}\n"
    );
    let path = lab.write(&format!("{name}.conf"), &text)?;
    let error_log = format!("{dir}/{name}.error");
    Ok(vec![
        program("nginx"),
        "-e".to_owned(),
        error_log,
        "-c".to_owned(),
        path.display().to_string(),
    ])
}

/// Starts a haproxy in front of `backend`.
pub(crate) fn haproxy(lab: &Lab, address: SocketAddr, backend: SocketAddr) -> Result<Child> {
    let text = format!(
        "global\n  maxconn 4096\n  nbthread 1\ndefaults\n  mode http\n  option http-keep-alive\n  http-reuse always\n  \
         timeout connect 5s\n  timeout client 60s\n  timeout server 60s\nfrontend front\n  bind {address}\n  \
         default_backend back\nbackend back\n  server one {backend}\n"
    );
    let path = lab.write("haproxy.cfg", &text)?;
    lab.start(
        "haproxy",
        Core::Proxy,
        &[&program("haproxy"), "-db", "-f", &path.display().to_string()],
        &[],
    )
}

/// A listener of an Envoy and where it sends everything.
pub(crate) struct Hop {
    pub(crate) name: &'static str,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: SocketAddr,
    /// Speaks HTTP/2 to the upstream instead of HTTP/1.1.
    pub(crate) http2: bool,
    /// Retries and an adaptive concurrency limit.
    pub(crate) protected: bool,
}

/// Starts an Envoy with these hops; its admin interface listens on `admin`.
pub(crate) fn envoy_proxy(lab: &Lab, core: Core, admin: SocketAddr, hops: &[Hop]) -> Result<Child> {
    let config = json!({
        "admin": { "address": socket(admin) },
        "static_resources": {
            "listeners": hops.iter().map(listener).collect::<Vec<_>>(),
            "clusters": hops.iter().map(cluster).collect::<Vec<_>>(),
        },
    });
    let path: PathBuf = lab.write("envoy.json", &serde_json::to_string_pretty(&config)?)?;
    let path = path.display().to_string();
    // As many workers as the cores it may use.
    let workers = if matches!(core, Core::Any) { "2" } else { "1" };
    let words = [
        &envoy()?,
        "-c",
        &path,
        "--concurrency",
        workers,
        "--disable-hot-restart",
        "--log-level",
        "warn",
    ];
    lab.start("envoy", core, &words, &[])
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

fn listener(hop: &Hop) -> Value {
    let mut filters = Vec::new();
    if hop.protected {
        filters.push(adaptive_concurrency());
    }
    filters.push(filter(
        "envoy.filters.http.router",
        &json!({ "@type": http_type("router.v3.Router") }),
    ));
    let mut route = json!({ "cluster": hop.name });
    if hop.protected {
        route["timeout"] = json!("1s");
        route["retry_policy"] = json!({ "retry_on": "5xx,reset,connect-failure,refused-stream", "num_retries": super::overload::RETRIES });
    }
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": hop.name,
        "codec_type": "AUTO",
        "http_filters": filters,
        "route_config": { "virtual_hosts": [{
            "name": hop.name, "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": route }],
        }] },
    });
    json!({
        "name": hop.name,
        "address": socket(hop.listen),
        "filter_chains": [{ "filters": [filter("envoy.filters.network.http_connection_manager", &manager)] }],
    })
}

/// The example of Envoy's documentation, with all other settings at their defaults.
fn adaptive_concurrency() -> Value {
    filter(
        "envoy.filters.http.adaptive_concurrency",
        &json!({
            "@type": http_type("adaptive_concurrency.v3.AdaptiveConcurrency"),
            "gradient_controller_config": {
                "sample_aggregate_percentile": { "value": 90 },
                "concurrency_limit_params": { "concurrency_update_interval": "0.1s" },
                "min_rtt_calc_params": {
                    "jitter": { "value": 10 }, "interval": "60s", "request_count": 50, "min_concurrency": 3,
                },
            },
            "enabled": { "default_value": true, "runtime_key": "adaptive_concurrency.enabled" },
        }),
    )
}

fn filter(name: &str, config: &Value) -> Value {
    json!({ "name": name, "typed_config": config })
}

fn http_type(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.filters.http.{name}")
}

fn cluster(hop: &Hop) -> Value {
    let mut cluster = json!({
        "name": hop.name,
        "connect_timeout": "1s",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": hop.name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(hop.upstream) } }] }],
        },
    });
    if hop.http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    cluster
}
