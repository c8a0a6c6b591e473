//! Clients that put values, each waiting until its value is durable before it puts the next.

mod dapr;
mod etcd;
mod file;
mod grpc;
mod mainstay;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::load::Histogram;
use crate::procfs;

/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 256;

/// Keys that are put are any of so many.
pub(crate) const KEYS: u64 = 10_000_000;

/// Who puts, for how long, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    clients: u32,
    #[arg(long)]
    seconds: f64,
    /// Puts per second of all clients together; without it each client puts as soon as it can.
    #[arg(long)]
    rate: Option<f64>,
    #[command(subcommand)]
    target: Target,
}

#[derive(clap::Subcommand)]
enum Target {
    /// The embedded store in this folder.
    Embedded { folder: PathBuf },
    /// The store on PostgreSQL.
    Postgres { url: String },
    /// A file that grows, with group commit.
    File { path: PathBuf },
    /// An etcd.
    Etcd { address: SocketAddr },
    /// Mainstay's state through gRPC, with the token of an app.
    Dapr { address: SocketAddr, token: String },
}

/// What the clients saw.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) puts: u64,
    pub(crate) seconds: f64,
    /// Of this process while they put.
    pub(crate) cpu_seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// The most that was resident so far.
    pub(crate) peak_resident_bytes: u64,
}

/// Where values are put.
trait Sink: Send + Sync + 'static {
    /// Puts a value and waits until it is durable.
    fn put(&self, key: String, value: Bytes) -> impl Future<Output = Result<()>> + Send;
}

pub(super) async fn run(options: Options) -> Result<()> {
    let report = match &options.target {
        Target::Embedded { folder } => puts(mainstay::embedded(folder)?, &options).await?,
        Target::Postgres { url } => puts(mainstay::postgres(url).await?, &options).await?,
        Target::File { path } => puts(file::File::create(path)?, &options).await?,
        Target::Etcd { address } => puts(etcd::Etcd::connect(*address).await?, &options).await?,
        Target::Dapr { address, token } => {
            puts(dapr::Dapr::connect(*address, token).await?, &options).await?
        }
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// The key with this number, as `redis-benchmark` writes it.
pub(super) fn key(number: u64) -> String {
    format!("key:{number:012}")
}

pub(super) fn value() -> Bytes {
    Bytes::from_static(&[b'x'; VALUE_BYTES])
}

async fn puts(sink: impl Sink, options: &Options) -> Result<Report> {
    let sink = Arc::new(sink);
    let own = std::process::id();
    let cpu = procfs::cpu(own)?;
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(options.seconds);
    let pace = options
        .rate
        .map(|rate| Duration::from_secs_f64(f64::from(options.clients) / rate));
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let first = begin + pace.unwrap_or_default() * number / options.clients;
        clients.spawn(client(sink.clone(), pace, first, end));
    }
    let mut all = Histogram::new();
    while let Some(done) = clients.join_next().await {
        all.add(&done??);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let quantile_us = |share| all.quantile(share).as_secs_f64() * 1e6;
    Ok(Report {
        puts: all.total(),
        seconds,
        cpu_seconds: procfs::cpu(own)?.saturating_sub(cpu).as_secs_f64(),
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
        p999_us: quantile_us(0.999),
        max_us: quantile_us(1.0),
        peak_resident_bytes: procfs::peak_resident_bytes(own)?,
    })
}

async fn client(
    sink: Arc<impl Sink>,
    pace: Option<Duration>,
    first: Instant,
    end: Instant,
) -> Result<Histogram> {
    let mut histogram = Histogram::new();
    let mut due = first;
    let value = value();
    loop {
        if pace.is_some() {
            tokio::time::sleep_until(due.into()).await;
        }
        let now = Instant::now();
        if now >= end {
            return Ok(histogram);
        }
        // With a pace, a put that had to wait for the one before it counts from when it was due.
        let begun = if pace.is_some() { due } else { now };
        sink.put(key(fastrand::u64(..KEYS)), value.clone()).await?;
        histogram.record(begun.elapsed());
        due += pace.unwrap_or_default();
    }
}
