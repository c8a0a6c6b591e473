//! Added latency at a fixed rate: what the proxy adds to the backend's own answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::Effort;
use super::figures::{Bound, Rounds, Target};
use super::proxy::{Contender, Row};
use super::results::Section;
use crate::load::{self, Class, Schedule};

/// The core of the load, as in `child::Core::Load`.
const LOAD_CORE: usize = 1;

/// Length of one measurement: tens of thousands of requests at the rates in question.
const DURATION: Duration = Duration::from_secs(3);

/// Latencies of one participant at one rate, in microseconds, and of the backend alone at the same rate.
pub(super) struct Added {
    name: &'static str,
    rate: f64,
    is_own_half: bool,
    p50_us: Rounds,
    p99_us: Rounds,
    direct_p50_us: Rounds,
    direct_p99_us: Rounds,
    /// Requests without a good answer, in per cent.
    refused: Rounds,
}

impl Added {
    fn p50(&self) -> Rounds {
        self.p50_us.minus(&self.direct_p50_us)
    }

    fn p99(&self) -> Rounds {
        self.p99_us.minus(&self.direct_p99_us)
    }
}

/// Each participant at half of its own saturation, and all at half of the slowest one's.
pub(super) fn run(
    effort: &Effort,
    contenders: &[Contender],
    saturation: &[Row],
    backend: SocketAddr,
) -> Result<Vec<Added>> {
    let half = |row: &Row| row.per_second.median() / 2.0;
    let common = saturation.iter().map(half).fold(f64::INFINITY, f64::min);
    let plan = |is_own_half: bool| {
        contenders
            .iter()
            .zip(saturation)
            .map(move |(contender, row)| Added {
                name: contender.name,
                rate: if is_own_half { half(row) } else { common },
                is_own_half,
                p50_us: Rounds::default(),
                p99_us: Rounds::default(),
                direct_p50_us: Rounds::default(),
                direct_p99_us: Rounds::default(),
                refused: Rounds::default(),
            })
    };
    let mut all: Vec<Added> = plan(true).chain(plan(false)).collect();
    let count = all.len();
    for round in 0..effort.rounds {
        // Once for each rate.
        let mut direct: Vec<(f64, Sample)> = Vec::new();
        for turn in 0..count {
            let index = (round + turn) % count;
            let added = &mut all[index];
            let known = direct
                .iter()
                .find(|(rate, _)| rate.total_cmp(&added.rate).is_eq());
            let alone = match known {
                Some((_, sample)) => *sample,
                None => measure(backend, added.rate)?,
            };
            direct.push((added.rate, alone));
            added.direct_p50_us.0.push(alone.p50_us);
            added.direct_p99_us.0.push(alone.p99_us);
            let proxied = measure(contenders[index % contenders.len()].http, added.rate)
                .with_context(|| format!("{} at {:.0} requests/s", added.name, added.rate))?;
            added.p50_us.0.push(proxied.p50_us);
            added.p99_us.0.push(proxied.p99_us);
            added.refused.0.push(proxied.refused);
        }
        println!("latency: round {} of {}", round + 1, effort.rounds);
    }
    Ok(all)
}

/// Latencies from intended start to whole good answer.
#[derive(Clone, Copy)]
struct Sample {
    p50_us: f64,
    p99_us: f64,
    /// Requests without a good answer, in per cent.
    refused: f64,
}

fn measure(address: SocketAddr, rate: f64) -> Result<Sample> {
    let schedule = Schedule {
        address,
        classes: vec![Class {
            weight: 1,
            bytes: load::get("/", "bench", &[]),
        }],
        rate,
        duration: DURATION,
        connections: 64,
        timeout: Duration::from_secs(5),
    };
    let generator = std::thread::spawn(move || {
        let mut core = CpuSet::new();
        core.set(LOAD_CORE);
        sched_setaffinity(None, &core)?;
        load::run(&schedule)
    });
    let Ok(report) = generator.join() else {
        bail!("the load generator panicked")
    };
    let all = report?.all();
    let refused = 100.0 * (all.offered - all.good) as f64 / all.offered as f64;
    if refused > 5.0 {
        bail!(
            "{refused:.1} % of {} requests were not answered with 2xx",
            all.offered
        );
    }
    let quantile_us = |share| all.good_latency.quantile(share).as_secs_f64() * 1e6;
    Ok(Sample {
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
        refused,
    })
}

/// Tables of what was found.
pub(super) fn report(section: &mut Section, all: &[Added]) {
    for is_own_half in [true, false] {
        section.add(if is_own_half {
            "Latency added to that of the backend alone at the same rate, each at half of its own saturation \
             (open loop, 64 connections):"
        } else {
            "The same with everybody at half of the slowest one's saturation:"
        });
        let some = || all.iter().filter(|added| added.is_own_half == is_own_half);
        let line = |added: &Added| {
            vec![
                added.name.to_owned(),
                format!("{:.0}", added.rate),
                added.p50().to_string(),
                added.p99().to_string(),
                added.direct_p99_us.to_string(),
                added.refused.to_string(),
            ]
        };
        section.table(
            &[
                "",
                "requests/s",
                "added p50 µs",
                "added p99 µs",
                "p99 µs of the backend alone",
                "not 2xx, %",
            ],
            &some().map(line).collect::<Vec<_>>(),
        );
        let raw = some().flat_map(|added| {
            [
                format!("{:30} p99 µs         {}", added.name, added.p99_us.raw()),
                format!("{:30} p99 µs direct  {}", added.name, added.direct_p99_us.raw()),
            ]
        });
        section.raw("raw figures, round by round", &raw.collect::<Vec<_>>());
    }
}

/// Mainstay against Envoy.
pub(super) fn targets(all: &[Added]) -> Vec<Target> {
    let target = |is_own_half: bool, rate: &str| {
        let find = |name: &str| {
            all.iter()
                .find(|added| added.name == name && added.is_own_half == is_own_half)
        };
        let found = find("Mainstay")?.p99().median() / find("Envoy")?.p99().median();
        let what = format!("added p99 at {rate}, against Envoy");
        Some(Target {
            what,
            found,
            bound: Bound::AtMost(0.5),
            unit: "x",
        })
    };
    [
        target(true, "half of its own saturation"),
        target(false, "half of the slowest one's saturation"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
