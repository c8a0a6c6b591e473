//! The same through Mainstay's API, as apps use it: one put a request, a hundred in one, and reads.

use std::time::Duration;

use anyhow::Result;

use super::clients::{Sample, ours, pgbench, requests};
use super::puts::redis;
use super::rows::{self, Contender};
use super::{CLIENTS, servers};
use crate::bench::Effort;
use crate::bench::child::Core;
use crate::bench::figures::Target;
use crate::bench::lab::Lab;
use crate::bench::mainstay::{Api, System};
use crate::bench::results::Section;
use crate::parts::puts::KEYS;
use crate::parts::requests::{HUNDRED, Kind};

const HTTP: &str = "Mainstay, HTTP";
const GRPC: &str = "Mainstay, gRPC";
const BULK: &str = "Mainstay, HTTP, 100 a request";
const REDIS: &str = "Redis";
const POSTGRES: &str = "PostgreSQL";

/// Keys that are read; all of them are there.
const READ_KEYS: u64 = 100_000;

/// An app that does nothing but tell where its API is.
const MANIFEST: &str = r#"
name: bench
apps:
  client:
    command: ["sh", "-c", "printf '%s %s' \"$DAPR_HTTP_PORT\" \"$DAPR_API_TOKEN\" > api.new && mv api.new api && exec sleep 1000000"]
    restart: never
"#;

/// Runs all of them in turn, and adds what was found.
pub(super) fn run(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Vec<Target>> {
    let mut system = System::start(lab, "api", Core::Any, MANIFEST, &[])?;
    let api = system.api()?;
    let postgres = servers::postgres(lab)?;
    let server = servers::redis(lab)?;
    let folder = super::empty(lab, "api-puts")?;

    let grpc = [api.address.to_string(), api.token.clone()];
    let contenders = vec![
        http(HTTP, &system, &api, Kind::Put),
        Contender::served(
            GRPC,
            || system.cpu(),
            |duration| ours(CLIENTS, duration, &[], &["dapr", &grpc[0], &grpc[1]]).map(Sample::from),
        ),
        http(BULK, &system, &api, Kind::PutHundred),
        redis(REDIS, &server, "set", KEYS),
        Contender::served(
            POSTGRES,
            || postgres.cpu(),
            |duration| pgbench(&postgres, &folder, duration),
        ),
    ];
    let puts = rows::measure("puts through the API", effort, lab, contenders)?;
    section.add(&format!(
        "Through the API of an app, with its token: `mainstay run` with the embedded store, {CLIENTS} connections over HTTP/1.1 \
         (one thread), {CLIENTS} clients on 16 connections over gRPC; the peers as above; the disk's own sync p50 {} µs.",
        puts.syncs_us
    ));
    puts.report(section, "puts");

    requests(Kind::Fill, &api, effort.duration, READ_KEYS)?;
    super::clients::redis_benchmark(&server, "set", 10 * READ_KEYS, READ_KEYS)?;
    let contenders = vec![
        http_of(HTTP, &system, &api, Kind::Get, READ_KEYS),
        redis(REDIS, &server, "get", READ_KEYS),
    ];
    let reads = rows::measure("reads through the API", effort, lab, contenders)?;
    section.add(&format!("Reads of any of {READ_KEYS} keys, one a request:"));
    reads.report(section, "reads");

    let demands = [
        puts.demand("puts", HTTP, REDIS, 0.9),
        puts.demand("puts", HTTP, POSTGRES, 2.5),
        puts.demand("puts", GRPC, REDIS, 0.7),
        puts.demand("puts", BULK, REDIS, 5.0),
        reads.demand("reads", HTTP, REDIS, 0.9),
    ];
    Ok(demands.into_iter().flatten().collect())
}

fn http<'a>(name: &'static str, system: &'a System, api: &'a Api, kind: Kind) -> Contender<'a> {
    http_of(name, system, api, kind, KEYS)
}

fn http_of<'a>(name: &'static str, system: &'a System, api: &'a Api, kind: Kind, keys: u64) -> Contender<'a> {
    let values = if kind == Kind::PutHundred {
        HUNDRED as f64
    } else {
        1.0
    };
    let load = move |duration: Duration| {
        let mut sample = Sample::from(requests(kind, api, duration, keys)?);
        sample.puts *= values;
        sample.per_second *= values;
        Ok(sample)
    };
    Contender::served(name, || system.cpu(), load)
}
