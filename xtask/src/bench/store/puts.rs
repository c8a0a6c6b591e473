//! 64 clients: how many puts a second, and what each costs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::clients::{Sample, ours, pgbench, redis_benchmark};
use super::servers::{self, Server};
use super::{CLIENTS, Syncs, settle, target};
use crate::bench::Effort;
use crate::bench::figures::{Bound, Rounds, Target};
use crate::bench::lab::Lab;
use crate::bench::results::Section;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Embedded,
    File,
    Redis,
    OnPostgres,
    Postgres,
    Etcd,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Embedded => "Mainstay, embedded",
            Self::File => "plain file",
            Self::Redis => "Redis",
            Self::OnPostgres => "Mainstay on PostgreSQL",
            Self::Postgres => "PostgreSQL",
            Self::Etcd => "etcd",
        }
    }
}

/// Where they put.
struct Places {
    folder: PathBuf,
    redis: Option<Server>,
    postgres: Option<Server>,
    etcd: Option<Server>,
}

impl Places {
    fn server(&self, contender: Contender) -> Option<&Server> {
        match contender {
            Contender::Embedded | Contender::File => None,
            Contender::Redis => self.redis.as_ref(),
            Contender::OnPostgres | Contender::Postgres => self.postgres.as_ref(),
            Contender::Etcd => self.etcd.as_ref(),
        }
    }

    fn load(&self, contender: Contender, duration: Duration, redis_rate: f64) -> Result<Sample> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let ours = |target: &[&str]| ours(CLIENTS, duration, &[], target).map(Sample::from);
        match (contender, self.server(contender)) {
            (Contender::Redis, Some(server)) => {
                redis_benchmark(server, (redis_rate * duration.as_secs_f64()) as u64)
            }
            (Contender::OnPostgres, Some(server)) => ours(&["postgres", &servers::postgres_url(server)]),
            (Contender::Postgres, Some(server)) => pgbench(server, &self.folder, duration),
            (Contender::Etcd, Some(server)) => ours(&["etcd", &server.address.to_string()]),
            (Contender::File, _) => ours(&["file", &path("file")]),
            _ => ours(&["embedded", &path("embedded")]),
        }
    }
}

/// What the rounds gave for one of them.
#[derive(Default)]
struct Row {
    per_second: Rounds,
    cpu_us: Rounds,
    server_cpu_us: Rounds,
    p50_us: Rounds,
    p99_us: Rounds,
}

/// Runs all of them in turn, and adds what was found.
pub(super) fn run(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Vec<Target>> {
    let mut places = Places {
        folder: super::empty(lab, "puts")?,
        redis: None,
        postgres: None,
        etcd: None,
    };
    let mut contenders = Vec::new();
    if effort.with_mainstay() {
        contenders.push(Contender::Embedded);
    }
    if effort.with_mainstay() || effort.with_peers() {
        places.postgres = Some(servers::postgres(lab)?);
    }
    if effort.with_peers() {
        places.redis = Some(servers::redis(lab)?);
        places.etcd = Some(servers::etcd(lab)?);
        contenders.extend([Contender::File, Contender::Redis]);
    }
    if effort.with_mainstay() {
        contenders.push(Contender::OnPostgres);
    }
    if effort.with_peers() {
        contenders.extend([Contender::Postgres, Contender::Etcd]);
    }
    let (rows, syncs_us) = measure(effort, &places, &contenders)?;
    report(section, &contenders, &rows, &syncs_us);
    Ok(targets(&contenders, &rows))
}

fn measure(effort: &Effort, places: &Places, contenders: &[Contender]) -> Result<(Vec<Row>, Rounds)> {
    let mut rows: Vec<Row> = contenders.iter().map(|_| Row::default()).collect();
    let mut redis_rate = 20_000.0;
    for contender in contenders {
        let sample = places.load(*contender, Duration::from_secs(1), redis_rate)?;
        if *contender == Contender::Redis {
            redis_rate = sample.per_second;
        }
    }
    let mut syncs_us = Rounds::default();
    for round in 0..effort.rounds {
        settle();
        let syncs = Syncs::measure(&places.folder)?;
        println!("{syncs}");
        syncs_us.0.push(syncs.p50_us);
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let server = places.server(contenders[index]);
            settle();
            let before = server.map(Server::cpu).transpose()?;
            let sample = places.load(contenders[index], effort.duration, redis_rate)?;
            let after = server.map(Server::cpu).transpose()?;
            let server_cpu = after
                .unwrap_or_default()
                .saturating_sub(before.unwrap_or_default());
            let each_us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / sample.puts;
            let row = &mut rows[index];
            row.per_second.0.push(sample.per_second);
            row.cpu_us.0.push(each_us(sample.cpu + server_cpu));
            row.server_cpu_us.0.push(each_us(server_cpu));
            row.p50_us.0.extend(sample.p50_us);
            row.p99_us.0.extend(sample.p99_us);
            println!("  {}: {:.0} puts/s", contenders[index].name(), sample.per_second);
        }
        println!("puts: round {} of {}", round + 1, effort.rounds);
    }
    Ok((rows, syncs_us))
}

fn report(section: &mut Section, contenders: &[Contender], rows: &[Row], syncs_us: &Rounds) {
    section.add(&format!(
        "{CLIENTS} clients, the disk's own sync (4 KiB at the end of a file) between the rounds p50 {syncs_us} µs. Mainstay in \
         process, through its port; Redis by redis-benchmark (`appendfsync always`), PostgreSQL by pgbench (prepared \
         `INSERT … ON CONFLICT DO UPDATE`, one a transaction), etcd through gRPC. CPU is that of client and server \
         together; in process they are one.",
    ));
    let line = |(contender, row): (&Contender, &Row)| {
        let of_server = match contender {
            Contender::Embedded | Contender::File => "–".to_owned(),
            _ => row.server_cpu_us.to_string(),
        };
        vec![
            contender.name().to_owned(),
            row.per_second.to_string(),
            row.cpu_us.to_string(),
            of_server,
            row.p50_us.to_string(),
            row.p99_us.to_string(),
        ]
    };
    let heads = [
        "",
        "puts/s",
        "CPU µs per put",
        "of it the server",
        "p50 µs",
        "p99 µs",
    ];
    section.table(&heads, &contenders.iter().zip(rows).map(line).collect::<Vec<_>>());
    let raw = contenders.iter().zip(rows).flat_map(|(contender, row)| {
        [
            format!("{:24} puts/s  {}", contender.name(), row.per_second.raw()),
            format!("{:24} CPU µs  {}", contender.name(), row.cpu_us.raw()),
        ]
    });
    let mut raw: Vec<_> = raw.collect();
    raw.push(format!("{:24} p50 µs  {}", "fdatasync", syncs_us.raw()));
    section.raw("raw figures, round by round", &raw);
}

fn targets(contenders: &[Contender], rows: &[Row]) -> Vec<Target> {
    let row = |wanted: Contender| {
        let index = contenders.iter().position(|contender| *contender == wanted)?;
        rows.get(index)
    };
    let demand = |mine: Contender, peer: Contender, bound: f64| {
        let found = row(mine)?.per_second.over(&row(peer)?.per_second).median();
        let what = format!("puts/s of {} against {}", mine.name(), peer.name());
        Some(target(&what, found, Bound::AtLeast(bound), "x"))
    };
    let demands = [
        demand(Contender::Embedded, Contender::File, 0.7),
        demand(Contender::Embedded, Contender::Redis, 1.5),
        demand(Contender::Embedded, Contender::Postgres, 4.0),
        demand(Contender::Embedded, Contender::Etcd, 5.0),
        demand(Contender::OnPostgres, Contender::Postgres, 1.0),
    ];
    demands.into_iter().flatten().collect()
}
