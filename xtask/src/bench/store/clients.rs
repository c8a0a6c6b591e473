//! The clients that put: our own, and those that come with Redis and PostgreSQL.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::CLIENTS;
use super::servers::{Server, postgres_program, postgres_url};
use crate::bench::mainstay::Api;
use crate::parts::puts::{KEYS, Report, VALUE_BYTES};
use crate::parts::requests::Kind;
use crate::process::{output, tool};
use crate::procfs;

/// What a client saw.
pub(super) struct Sample {
    pub(super) puts: f64,
    pub(super) per_second: f64,
    /// CPU time of the client.
    pub(super) cpu: Duration,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

/// Clients of this tool, in a process of their own.
pub(super) fn ours(clients: u32, duration: Duration, further: &[&str], target: &[&str]) -> Result<Report> {
    let (clients, seconds) = (clients.to_string(), duration.as_secs_f64().to_string());
    let mut command = tool(std::env::current_exe()?);
    command
        .args(["part", "puts", "--clients", &clients, "--seconds", &seconds])
        .args(further)
        .args(target);
    serde_json::from_str(&output(&mut command)?).context("the clients say something else than a report")
}

impl From<Report> for Sample {
    fn from(report: Report) -> Self {
        Self {
            puts: report.puts as f64,
            per_second: report.puts as f64 / report.seconds,
            cpu: Duration::from_secs_f64(report.cpu_seconds),
            p50_us: Some(report.p50_us),
            p99_us: Some(report.p99_us),
        }
    }
}

/// A client of this tool that asks for state over HTTP, in a process of its own.
pub(super) fn requests(kind: Kind, api: &Api, duration: Duration, keys: u64) -> Result<Report> {
    let kind = clap::ValueEnum::to_possible_value(&kind).context("a kind without a name")?;
    let (clients, seconds) = (CLIENTS.to_string(), duration.as_secs_f64().to_string());
    let mut command = tool(std::env::current_exe()?);
    command
        .args(["part", "requests", kind.get_name(), &api.address.to_string()])
        .args([
            "--token",
            &api.token,
            "--clients",
            &clients,
            "--seconds",
            &seconds,
        ])
        .args(["--keys", &keys.to_string()]);
    serde_json::from_str(&output(&mut command)?).context("the client says something else than a report")
}

/// `redis-benchmark` of `set` or `get`, for so many of them.
pub(super) fn redis_benchmark(server: &Server, test: &str, count: u64, keys: u64) -> Result<Sample> {
    let before = procfs::cpu_of_ended(std::process::id())?;
    let text = output(tool("redis-benchmark").args([
        "--csv",
        "-p",
        &server.port(),
        "-t",
        test,
        "-c",
        &CLIENTS.to_string(),
        "-n",
        &count.to_string(),
        "-r",
        &keys.to_string(),
        "-d",
        &VALUE_BYTES.to_string(),
    ]))?;
    let [per_second, p50_ms, p99_ms] = parse_redis_benchmark(&text, test)?;
    Ok(Sample {
        puts: count as f64,
        per_second,
        cpu: procfs::cpu_of_ended(std::process::id())?.saturating_sub(before),
        p50_us: Some(p50_ms * 1e3),
        p99_us: Some(p99_ms * 1e3),
    })
}

/// The rate, and the median and the 99th percentile of the latency.
fn parse_redis_benchmark(text: &str, test: &str) -> Result<[f64; 3]> {
    let row = format!("\"{}\"", test.to_uppercase());
    let heads = text.lines().find(|line| line.starts_with("\"test\""));
    let figures = text.lines().find(|line| line.starts_with(&row));
    let (heads, figures) = heads
        .zip(figures)
        .with_context(|| format!("redis-benchmark says: {text}"))?;
    let figure = |name: &str| -> Result<f64> {
        let cells = |line: &str| -> Vec<String> {
            line.split(',')
                .map(|cell| cell.trim_matches('"').to_owned())
                .collect()
        };
        let column = cells(heads).iter().position(|head| head == name);
        let cell = column.and_then(|column| cells(figures).get(column).cloned());
        Ok(cell
            .with_context(|| format!("redis-benchmark gave no {name}"))?
            .parse()?)
    };
    Ok([
        figure("rps")?,
        figure("p50_latency_ms")?,
        figure("p99_latency_ms")?,
    ])
}

/// `pgbench`: each connection inserts one row after the other.
pub(super) fn pgbench(server: &Server, folder: &Path, duration: Duration) -> Result<Sample> {
    let script = folder.join("put.sql");
    let statement = format!(
        "\\set key random(1, {KEYS})\n\
         INSERT INTO puts VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;\n"
    );
    std::fs::write(&script, statement)?;
    let before = procfs::cpu_of_ended(std::process::id())?;
    let text = output(tool(postgres_program("pgbench")?).args([
        "--no-vacuum",
        "--protocol=prepared",
        "--client",
        &CLIENTS.to_string(),
        "--jobs=2",
        "--time",
        &duration.as_secs().max(1).to_string(),
        "--define",
        &format!("value={}", "x".repeat(VALUE_BYTES)),
        "--file",
        &script.display().to_string(),
        &postgres_url(server),
    ]))?;
    let [puts, per_second] = parse_pgbench(&text)?;
    Ok(Sample {
        puts,
        per_second,
        cpu: procfs::cpu_of_ended(std::process::id())?.saturating_sub(before),
        p50_us: None,
        p99_us: None,
    })
}

/// How many transactions, and how many a second.
fn parse_pgbench(text: &str) -> Result<[f64; 2]> {
    let figure = |name: &str| -> Result<f64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name));
        let word = rest.and_then(|rest| rest.trim_start_matches([':', '=', ' ']).split([' ', '/']).next());
        Ok(word.with_context(|| format!("pgbench gave no {name}"))?.parse()?)
    };
    Ok([
        figure("number of transactions actually processed")?,
        figure("tps ")?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_benchmark_is_understood() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\
                    \"p99_latency_ms\",\"max_latency_ms\"\n\
                    \"SET\",\"61728.39\",\"0.900\",\"0.200\",\"0.847\",\"1.343\",\"2.111\",\"9.007\"\n";
        let found = parse_redis_benchmark(text, "set").unwrap();
        assert_eq!(
            found.map(|figure| figure.to_string()),
            ["61728.39", "0.847", "2.111"]
        );
        assert!(parse_redis_benchmark("Could not connect", "set").is_err());
    }

    #[test]
    fn pgbench_is_understood() {
        let text = "number of transactions actually processed: 27433\nlatency average = 2.3 ms\n\
                    initial connection time = 99.8 ms\ntps = 27612.4 (without initial connection time)\n";
        let found = parse_pgbench(text).unwrap();
        assert_eq!(found.map(|figure| figure.to_string()), ["27433", "27612.4"]);
        assert!(parse_pgbench("connection failed").is_err());
    }
}
