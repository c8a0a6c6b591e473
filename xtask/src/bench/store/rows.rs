//! Contenders that do the same in turn, and the table of what each did.

use std::time::Duration;

use anyhow::Result;

use super::clients::Sample;
use super::{Syncs, settle, target};
use crate::bench::Effort;
use crate::bench::figures::{Bound, Rounds, Target};
use crate::bench::lab::Lab;
use crate::bench::results::Section;

/// Gives the CPU time that a server has used so far.
type Cpu<'a> = Box<dyn Fn() -> Result<Duration> + 'a>;

/// Somebody who takes part.
pub(super) struct Contender<'a> {
    pub(super) name: &'static str,
    /// Of its server, where that is a process of its own.
    pub(super) server_cpu: Option<Cpu<'a>>,
    /// Loads it for about so long.
    pub(super) load: Box<dyn FnMut(Duration) -> Result<Sample> + 'a>,
}

/// What the rounds gave for one of them.
pub(super) struct Row {
    name: &'static str,
    has_server: bool,
    per_second: Rounds,
    cpu_us: Rounds,
    server_cpu_us: Rounds,
    p50_us: Rounds,
    p99_us: Rounds,
}

/// The rows of all contenders, and times of the disk's own sync between the rounds.
pub(super) struct Rows {
    rows: Vec<Row>,
    pub(super) syncs_us: Rounds,
}

impl<'a> Contender<'a> {
    /// One that works in the process of its clients.
    pub(super) fn in_process(name: &'static str, load: impl FnMut(Duration) -> Result<Sample> + 'a) -> Self {
        Self {
            name,
            server_cpu: None,
            load: Box::new(load),
        }
    }

    /// One with a server.
    pub(super) fn served(
        name: &'static str,
        server_cpu: impl Fn() -> Result<Duration> + 'a,
        load: impl FnMut(Duration) -> Result<Sample> + 'a,
    ) -> Self {
        Self {
            name,
            server_cpu: Some(Box::new(server_cpu)),
            load: Box::new(load),
        }
    }

    fn cpu(&self) -> Result<Duration> {
        self.server_cpu.as_ref().map_or(Ok(Duration::ZERO), |cpu| cpu())
    }
}

/// Loads all of them round by round, each round beginning with another one.
pub(super) fn measure(
    what: &str,
    effort: &Effort,
    lab: &Lab,
    mut contenders: Vec<Contender<'_>>,
) -> Result<Rows> {
    let mut rows: Vec<Row> = contenders.iter().map(Row::of).collect();
    for contender in &mut contenders {
        (contender.load)(Duration::from_secs(1))?;
    }
    let mut syncs_us = Rounds::default();
    for round in 0..effort.rounds {
        settle();
        let syncs = Syncs::measure(lab.path())?;
        println!("{syncs}");
        syncs_us.0.push(syncs.p50_us);
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let contender = &mut contenders[index];
            settle();
            let before = contender.cpu()?;
            let sample = (contender.load)(effort.duration)?;
            let server_cpu = contender.cpu()?.saturating_sub(before);
            println!("  {}: {:.0}/s", contender.name, sample.per_second);
            rows[index].add(&sample, server_cpu);
        }
        println!("{what}: round {} of {}", round + 1, effort.rounds);
    }
    Ok(Rows { rows, syncs_us })
}

impl Row {
    fn of(contender: &Contender<'_>) -> Self {
        Self {
            name: contender.name,
            has_server: contender.server_cpu.is_some(),
            per_second: Rounds::default(),
            cpu_us: Rounds::default(),
            server_cpu_us: Rounds::default(),
            p50_us: Rounds::default(),
            p99_us: Rounds::default(),
        }
    }

    fn add(&mut self, sample: &Sample, server_cpu: Duration) {
        let each_us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / sample.puts;
        self.per_second.0.push(sample.per_second);
        self.cpu_us.0.push(each_us(sample.cpu + server_cpu));
        self.server_cpu_us.0.push(each_us(server_cpu));
        self.p50_us.0.extend(sample.p50_us);
        self.p99_us.0.extend(sample.p99_us);
    }

    fn cells(&self) -> Vec<String> {
        let of_server = if self.has_server {
            self.server_cpu_us.to_string()
        } else {
            "–".to_owned()
        };
        vec![
            self.name.to_owned(),
            self.per_second.to_string(),
            self.cpu_us.to_string(),
            of_server,
            self.p50_us.to_string(),
            self.p99_us.to_string(),
        ]
    }
}

impl Rows {
    /// Adds the table, and the raw figures below it. `what` is counted: `puts`.
    pub(super) fn report(&self, section: &mut Section, what: &str) {
        let heads = [
            "",
            &format!("{what}/s"),
            &format!("CPU µs per {}", what.trim_end_matches('s')),
            "of it the server",
            "p50 µs",
            "p99 µs",
        ];
        section.table(&heads, &self.rows.iter().map(Row::cells).collect::<Vec<_>>());
        let raw = self.rows.iter().flat_map(|row| {
            [
                format!("{:28} {what}/s  {}", row.name, row.per_second.raw()),
                format!("{:28} CPU µs  {}", row.name, row.cpu_us.raw()),
            ]
        });
        let mut raw: Vec<_> = raw.collect();
        raw.push(format!("{:28} p50 µs  {}", "fdatasync", self.syncs_us.raw()));
        section.raw("raw figures, round by round", &raw);
    }

    /// How often one does it in the time in which a peer does it once; nothing when one of them did not take part.
    pub(super) fn demand(&self, what: &str, mine: &str, peer: &str, bound: f64) -> Option<Target> {
        let row = |name: &str| self.rows.iter().find(|row| row.name == name);
        let found = row(mine)?.per_second.over(&row(peer)?.per_second).median();
        let what = format!("{what}/s of {mine} against {peer}");
        Some(target(&what, found, Bound::AtLeast(bound), "x"))
    }
}
