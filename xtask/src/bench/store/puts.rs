//! 64 clients: how many puts a second, and what each costs.

use std::time::Duration;

use anyhow::Result;

use super::CLIENTS;
use super::clients::{Sample, ours, pgbench, redis_benchmark};
use super::rows::{self, Contender};
use super::servers::{self, Server};
use crate::bench::Effort;
use crate::bench::figures::Target;
use crate::bench::lab::Lab;
use crate::bench::results::Section;
use crate::parts::puts::KEYS;

const EMBEDDED: &str = "Mainstay, embedded";
const FILE: &str = "plain file";
const REDIS: &str = "Redis";
const ON_POSTGRES: &str = "Mainstay on PostgreSQL";
const POSTGRES: &str = "PostgreSQL";
const ETCD: &str = "etcd";

/// Runs all of them in turn, and adds what was found.
pub(super) fn run(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Vec<Target>> {
    let folder = super::empty(lab, "puts")?;
    let path = |name: &str| folder.join(name).display().to_string();
    let (embedded, file) = (path("embedded"), path("file"));
    let postgres = servers::postgres(lab)?;
    let (redis, etcd) = if effort.with_peers() {
        (Some(servers::redis(lab)?), Some(servers::etcd(lab)?))
    } else {
        (None, None)
    };
    let in_process = |name, kind: &'static str, place: String| {
        Contender::in_process(name, move |duration| puts(duration, &[kind, &place]))
    };
    let mut contenders = Vec::new();
    if effort.with_mainstay() {
        contenders.push(in_process(EMBEDDED, "embedded", embedded));
        let url = servers::postgres_url(&postgres);
        let load = move |duration| puts(duration, &["postgres", &url]);
        contenders.push(Contender::served(ON_POSTGRES, || postgres.cpu(), load));
    }
    if effort.with_peers() {
        contenders.push(in_process(FILE, "file", file));
        let load = |duration| pgbench(&postgres, &folder, duration);
        contenders.push(Contender::served(POSTGRES, || postgres.cpu(), load));
    }
    contenders.extend(
        redis
            .as_ref()
            .map(|server| self::redis(REDIS, server, "set", KEYS)),
    );
    contenders.extend(etcd.as_ref().map(|server| {
        let address = server.address.to_string();
        let load = move |duration| puts(duration, &["etcd", &address]);
        Contender::served(ETCD, || server.cpu(), load)
    }));
    let rows = rows::measure("puts", effort, lab, contenders)?;
    section.add(&format!(
        "{CLIENTS} clients, the disk's own sync (4 KiB at the end of a file) between the rounds p50 {} µs. Mainstay in \
         process, through its port; Redis by redis-benchmark (`appendfsync always`), PostgreSQL by pgbench (prepared \
         `INSERT … ON CONFLICT DO UPDATE`, one a transaction), etcd through gRPC. CPU is that of client and server \
         together; in process they are one.",
        rows.syncs_us
    ));
    rows.report(section, "puts");
    let demands = [
        (EMBEDDED, FILE, 0.7),
        (EMBEDDED, REDIS, 1.5),
        (EMBEDDED, POSTGRES, 4.0),
        (EMBEDDED, ETCD, 5.0),
        (ON_POSTGRES, POSTGRES, 1.0),
    ];
    let demands = demands.map(|(mine, peer, bound)| rows.demand("puts", mine, peer, bound));
    Ok(demands.into_iter().flatten().collect())
}

fn puts(duration: Duration, target: &[&str]) -> Result<Sample> {
    ours(CLIENTS, duration, &[], target).map(Sample::from)
}

/// A Redis under `redis-benchmark`, which wants to be told how many instead of how long: as many as the last time in
/// that time.
pub(super) fn redis<'a>(
    name: &'static str,
    server: &'a Server,
    test: &'static str,
    keys: u64,
) -> Contender<'a> {
    let mut per_second = 20_000.0;
    let load = move |duration: Duration| {
        let count = (per_second * duration.as_secs_f64()) as u64;
        let sample = redis_benchmark(server, test, count, keys)?;
        per_second = sample.per_second;
        Ok(sample)
    };
    Contender::served(name, || server.cpu(), load)
}
