//! The price of a call: CPU per request, throughput of one core, added latency, memory.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::child::{Child, Core};
use super::figures::{Bound, Rounds, Target};
use super::lab::{Lab, free_address};
use super::loads::{Throughput, h2load, wrk};
use super::mainstay::{System, prometheus_sum, yaml_words};
use super::peers::Hop;
use super::results::Section;
use super::{Effort, latency, part, peers, versions};

const CONNECTIONS: usize = 64;
const MIB: f64 = 1024.0 * 1024.0;

/// Who takes part.
enum Program {
    Peer(Child),
    Mainstay(System),
}

/// One participant.
pub(super) struct Contender {
    pub(super) name: &'static str,
    program: Program,
    /// Answers HTTP/1.1 and HTTP/2 from the backend.
    pub(super) http: SocketAddr,
    /// Answers gRPC from the echo service, where it takes part in that.
    grpc: Option<SocketAddr>,
}

/// Where everything is sent in the end.
pub(super) struct Backends {
    pub(super) http: SocketAddr,
    grpc: SocketAddr,
    collector: SocketAddr,
    _running: Vec<Child>,
}

impl Contender {
    fn cpu(&self) -> Result<Duration> {
        match &self.program {
            Program::Peer(child) => child.tree_cpu(),
            Program::Mainstay(system) => system.cpu(),
        }
    }

    fn resident_bytes(&self) -> Result<u64> {
        match &self.program {
            Program::Peer(child) => child.resident_bytes(),
            Program::Mainstay(system) => system.resident_bytes(),
        }
    }
}

/// What the rounds of one kind of load gave for one participant.
pub(super) struct Row {
    pub(super) name: &'static str,
    cpu_us: Rounds,
    /// Answers other than 2xx, in per cent.
    refused: Rounds,
    pub(super) per_second: Rounds,
}

/// Runs the whole bench.
///
/// # Errors
/// When a participant does not start or answers wrongly.
pub(super) fn run(effort: &Effort) -> Result<()> {
    let lab = Lab::new()?;
    let backends = start_backends(&lab)?;
    let contenders = start_contenders(&lab, &backends, effort)?;

    let everybody: Vec<&Contender> = contenders.iter().collect();
    let http1 = measure(effort, "HTTP/1.1", &everybody, |contender, duration| {
        wrk(&format!("http://{}/", contender.http), CONNECTIONS, duration)
    })?;
    let memory = memory_after_load(&contenders)?;
    let with_grpc: Vec<&Contender> = contenders
        .iter()
        .filter(|contender| contender.grpc.is_some())
        .collect();
    let http2 = measure(effort, "HTTP/2", &with_grpc, |contender, duration| {
        h2load(&format!("http://{}/", contender.http), duration, &[])
    })?;
    let message = lab.write("message", &grpc_message(100))?.display().to_string();
    let headers = [
        "-d",
        &message,
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
    ];
    let grpc = measure(effort, "gRPC", &with_grpc, |contender, duration| {
        let Some(address) = contender.grpc else {
            bail!("{} has no gRPC", contender.name)
        };
        h2load(&format!("http://{address}/bench.Echo/Unary"), duration, &headers)
    })?;
    let added = latency::run(effort, &contenders, &http1, backends.http)?;
    let errors = mainstay_errors(&contenders)?;
    drop(contenders);

    let mut section = Section::new("proxy", &versions(effort)?)?;
    section.add(&format!(
        "The proxy on one core, the load and the backend (nginx, a 100-byte body) on another; {} rounds of {} s each, \
         interleaved. CPU is user and system time of the proxy's processes. Mainstay runs with all policies, metrics and \
         trace propagation, the peers bare.",
        effort.rounds,
        effort.duration.as_secs()
    ));
    report_load(&mut section, "HTTP/1.1, 64 connections (wrk)", &http1);
    report_load(
        &mut section,
        "HTTP/2, 16 connections of 4 streams (h2load), HTTP/1.1 to the backend",
        &http2,
    );
    report_load(
        &mut section,
        "gRPC unary, 100 bytes, 16 connections of 4 streams (h2load)",
        &grpc,
    );
    latency::report(&mut section, &added);
    if let Some(errors) = errors {
        section.add(&errors);
    }
    section.add("Resident memory after the HTTP/1.1 load:");
    section.table(&["", "MiB"], &memory);
    let mut targets = load_targets(&http1, &http2, &grpc);
    targets.extend(latency::targets(&added));
    if effort.with_mainstay() {
        targets.push(idle_memory(&lab)?);
    }
    section.targets(&targets);
    section.publish(effort.is_full())
}

fn start_backends(lab: &Lab) -> Result<Backends> {
    let (http, grpc, collector) = (free_address()?, free_address()?, free_address()?);
    let words = peers::nginx_backend(lab, "backend", http)?;
    let mut nginx = lab.start(
        "backend",
        Core::Load,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
        &[],
    )?;
    nginx.wait_for_http(http, "/")?;
    let mut running = vec![nginx];
    let echo = part(Core::Any, &["echo"])?;
    let echo: Vec<&str> = echo.iter().map(String::as_str).collect();
    for (name, address) in [("echo", grpc), ("collector", collector)] {
        let mut child = lab.start(name, Core::Load, &echo, &[("PORT", address.port().to_string())])?;
        child.wait_for_http(address, "/")?;
        running.push(child);
    }
    Ok(Backends {
        http,
        grpc,
        collector,
        _running: running,
    })
}

fn start_contenders(lab: &Lab, backends: &Backends, effort: &Effort) -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    if effort.with_mainstay() {
        contenders.push(mainstay(lab, "Mainstay", &[])?);
        let collector = format!("http://{}", backends.collector);
        let export = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ];
        contenders.push(mainstay(lab, "Mainstay exporting every span", &export)?);
    }
    if effort.with_peers() {
        contenders.extend(start_peers(lab, backends)?);
    }
    for contender in &mut contenders {
        match &mut contender.program {
            Program::Peer(child) => child.wait_for_http(contender.http, "/")?,
            Program::Mainstay(system) => system.wait("/")?,
        }
    }
    Ok(contenders)
}

fn start_peers(lab: &Lab, backends: &Backends) -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    let peer = |name, child, http, grpc| Contender {
        name,
        program: Program::Peer(child),
        http,
        grpc,
    };
    let address = free_address()?;
    contenders.push(peer(
        "nginx",
        peers::nginx_proxy(lab, address, backends.http)?,
        address,
        None,
    ));
    let address = free_address()?;
    contenders.push(peer(
        "haproxy",
        peers::haproxy(lab, address, backends.http)?,
        address,
        None,
    ));
    let (admin, http, grpc) = (free_address()?, free_address()?, free_address()?);
    let hops = [
        Hop {
            name: "http",
            listen: http,
            upstream: backends.http,
            http2: false,
            protected: false,
        },
        Hop {
            name: "grpc",
            listen: grpc,
            upstream: backends.grpc,
            http2: true,
            protected: false,
        },
    ];
    let envoy = peers::envoy_proxy(lab, Core::Proxy, admin, &hops)?;
    contenders.push(peer("Envoy", envoy, http, Some(grpc)));
    Ok(contenders)
}

/// Mainstay in front of an nginx and an echo service that it runs itself, as it runs every app.
fn mainstay(lab: &Lab, name: &'static str, env: &[(&str, String)]) -> Result<Contender> {
    let folder = name.to_lowercase().replace(' ', "-");
    let http = free_address()?;
    let mut nginx: Vec<String> = Core::Load.pin().iter().map(|word| (*word).to_owned()).collect();
    nginx.extend(peers::nginx_backend(lab, &format!("backend-of-{folder}"), http)?);
    let manifest = format!(
        "name: bench\napps:\n  backend:\n    command: {}\n    port: {}\n    ingress: {{ path: / }}\n    \
         sla: {{ latency: 1s, availability: 99.9% }}\n  echo:\n    command: {}\n    protocol: grpc\n    \
         ingress: {{ path: /bench.Echo }}\n    sla: {{ latency: 1s, availability: 99.9% }}\n",
        yaml_words(&nginx),
        http.port(),
        yaml_words(&part(Core::Load, &["echo"])?),
    );
    let system = System::start(lab, &folder, Core::Proxy, &manifest, env)?;
    let ingress = system.ingress;
    Ok(Contender {
        name,
        program: Program::Mainstay(system),
        http: ingress,
        grpc: Some(ingress),
    })
}

/// Interleaved rounds: each begins with another participant, so that a drift of the machine hits all alike.
fn measure(
    effort: &Effort,
    kind: &str,
    contenders: &[&Contender],
    load: impl Fn(&Contender, Duration) -> Result<Throughput>,
) -> Result<Vec<Row>> {
    let new_row = |contender: &&Contender| Row {
        name: contender.name,
        cpu_us: Rounds::default(),
        refused: Rounds::default(),
        per_second: Rounds::default(),
    };
    let mut rows: Vec<Row> = contenders.iter().map(new_row).collect();
    for contender in contenders {
        load(contender, Duration::from_secs(1))?; // opens connections, warms caches
    }
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let before = contenders[index].cpu()?;
            let found = load(contenders[index], effort.duration)?;
            let cpu = contenders[index].cpu()?.saturating_sub(before);
            rows[index]
                .cpu_us
                .0
                .push(cpu.as_secs_f64() * 1e6 / found.requests as f64);
            rows[index].per_second.0.push(found.per_second);
            rows[index]
                .refused
                .0
                .push(100.0 * found.refused as f64 / found.requests as f64);
        }
        println!("{kind}: round {} of {}", round + 1, effort.rounds);
    }
    Ok(rows)
}

fn memory_after_load(contenders: &[Contender]) -> Result<Vec<Vec<String>>> {
    let row = |contender: &Contender| {
        let mib = contender.resident_bytes()? as f64 / MIB;
        Ok(vec![contender.name.to_owned(), format!("{mib:.1}")])
    };
    contenders.iter().map(row).collect()
}

/// What Mainstay itself says about errors: h2load sees the status of HTTP, which is 200 for every answer of gRPC.
fn mainstay_errors(contenders: &[Contender]) -> Result<Option<String>> {
    let system = contenders.iter().find_map(|contender| match &contender.program {
        Program::Mainstay(system) => Some(system),
        Program::Peer(_) => None,
    });
    let Some(system) = system else { return Ok(None) };
    let metrics = system.metrics()?;
    let sum = |metric| prometheus_sum(&metrics, metric);
    let (calls, errors, shed) = (
        sum("mainstay_calls_total"),
        sum("mainstay_call_errors_total"),
        sum("mainstay_shed_total"),
    );
    Ok(Some(format!(
        "Mainstay's own count over all of this: {calls} calls, {errors} errors, of which {shed} shed."
    )))
}

/// Mainstay with nothing to run, a few seconds after its start.
fn idle_memory(lab: &Lab) -> Result<Target> {
    let system = System::start(lab, "idle", Core::Any, "name: idle\napps: {}\n", &[])?;
    std::thread::sleep(Duration::from_secs(3));
    Ok(Target {
        what: "resident memory without apps".to_owned(),
        found: system.resident_bytes()? as f64 / MIB,
        bound: Bound::AtMost(15.0),
        unit: " MiB",
    })
}

fn report_load(section: &mut Section, title: &str, rows: &[Row]) {
    section.add(&format!("{title}:"));
    let line = |row: &Row| {
        let ratio = rows.first().map_or_else(String::new, |first| {
            format!("{}x", first.cpu_us.over(&row.cpu_us))
        });
        vec![
            row.name.to_owned(),
            row.cpu_us.to_string(),
            row.per_second.to_string(),
            row.refused.to_string(),
            ratio,
        ]
    };
    let first = rows.first().map_or("", |row| row.name);
    let ratio = format!("CPU of {first} / CPU of this");
    section.table(
        &["", "CPU µs per request", "requests/s", "not 2xx, %", &ratio],
        &rows.iter().map(line).collect::<Vec<_>>(),
    );
    let raw = rows.iter().flat_map(|row| {
        [
            format!("{:30} CPU µs      {}", row.name, row.cpu_us.raw()),
            format!("{:30} requests/s  {}", row.name, row.per_second.raw()),
            format!("{:30} not 2xx, %  {}", row.name, row.refused.raw()),
        ]
    });
    section.raw("raw figures, round by round", &raw.collect::<Vec<_>>());
}

fn load_targets(http1: &[Row], http2: &[Row], grpc: &[Row]) -> Vec<Target> {
    let target = |kind: &str, rows: &[Row], peer: &str, bound: f64| {
        let row = |name: &str| rows.iter().find(|row| row.name == name);
        let found = row("Mainstay")?.cpu_us.over(&row(peer)?.cpu_us).median();
        let what = format!("CPU per request, {kind}, against {peer}");
        Some(Target {
            what,
            found,
            bound: Bound::AtMost(bound),
            unit: "x",
        })
    };
    let all = [
        target("HTTP/1.1", http1, "Envoy", 0.5),
        target("HTTP/1.1", http1, "nginx", 1.15),
        target("HTTP/2", http2, "Envoy", 0.5),
        target("gRPC", grpc, "Envoy", 0.5),
    ];
    all.into_iter().flatten().collect()
}

/// A gRPC message of `length` bytes that are also text.
fn grpc_message(length: u8) -> String {
    format!("\0\0\0\0{}{}", char::from(length), "x".repeat(length.into()))
}
