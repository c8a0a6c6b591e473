//! What a durable put costs: Mainstay's stores beside a plain file, Redis, PostgreSQL and etcd, each of which waits for the
//! disk before it answers.

mod api;
mod clients;
pub(super) mod keys;
mod latency;
mod puts;
mod rows;
pub(super) mod servers;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Effort;
use super::figures::{Rounds, Target};
use super::lab::Lab;
use super::results::Section;
use crate::process::{output, tool};

/// Values put at the same time.
const CLIENTS: u32 = 64;

/// A part of this bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// 64 clients, everybody beside everybody.
    Puts,
    /// The same through Mainstay's API, with reads.
    Api,
    /// One client, against the disk's own sync.
    Single,
    /// Latency of commits while files are merged all the time.
    Sustained,
    /// Opening a store whose process was killed.
    Open,
    /// Memory with many keys.
    Memory,
}

/// How much of it.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "store")]
pub(super) struct Options {
    /// Parts of the bench `store`; all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    part: Vec<Part>,
    /// How long the sustained load of the bench `store` lasts, in minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
}

/// Runs the parts that are wanted.
///
/// # Errors
/// When a participant does not start or does not take what is put.
pub(super) fn run(effort: &Effort, options: &Options) -> Result<()> {
    let wanted = |part| options.part.is_empty() || options.part.contains(&part);
    // On the disk, not in memory; and where a server that runs as somebody else finds it.
    let lab = Lab::in_folder(Path::new("/var/tmp"))?;
    println!("{}", Syncs::measure(lab.path())?);

    let mut section = Section::new("store", &versions()?)?;
    section.add(
        "Values of 256 bytes under any of 10 million keys; a client waits until its value is on the disk before it puts the \
         next. Everybody may use all cores. Rounds are interleaved, each after a `sync` of all file systems.",
    );
    let mut targets = Vec::new();
    if wanted(Part::Puts) {
        targets.extend(puts::run(effort, &lab, &mut section)?);
    }
    if wanted(Part::Api) && effort.only.is_none() {
        targets.extend(api::run(effort, &lab, &mut section)?);
    }
    if wanted(Part::Single) {
        targets.extend(latency::single(effort, &lab, &mut section)?);
    }
    if wanted(Part::Sustained) {
        let duration = if effort.is_quick {
            effort.duration
        } else {
            Duration::from_secs(u64::from(options.minutes) * 60)
        };
        targets.extend(latency::sustained(duration, &lab, &mut section)?);
    }
    if wanted(Part::Open) {
        targets.push(keys::open(effort, &lab, &mut section)?);
    }
    if wanted(Part::Memory) {
        targets.push(keys::memory(effort, &lab, &mut section)?);
    }
    section.targets(&targets);
    section.publish(effort.is_full() && options.part.is_empty())
}

/// Times of the disk's own sync, in microseconds.
struct Syncs {
    p50_us: f64,
    p99_us: f64,
}

impl Syncs {
    /// Appends 4 KiB to a file and syncs it, again and again.
    fn measure(folder: &Path) -> Result<Self> {
        const SYNCS: usize = 1_000;
        let path = folder.join("probe");
        let mut file = File::create(&path)?;
        let mut times = Rounds::default();
        for _ in 0..SYNCS {
            file.write_all(&[7; 4_096])?;
            let begin = Instant::now();
            file.sync_data()?;
            times.0.push(begin.elapsed().as_secs_f64() * 1e6);
        }
        std::fs::remove_file(path)?;
        times.0.sort_by(f64::total_cmp);
        Ok(Self {
            p50_us: times.0[SYNCS / 2],
            p99_us: times.0[SYNCS * 99 / 100],
        })
    }
}

impl std::fmt::Display for Syncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "fdatasync of 4 KiB at the end of a file: p50 {:.0} µs, p99 {:.0} µs",
            self.p50_us, self.p99_us
        )
    }
}

/// What was written before must not be in the way of the next.
pub(super) fn settle() {
    rustix::fs::sync();
    std::thread::sleep(Duration::from_secs(1));
}

/// A folder of its own, empty.
pub(super) fn empty(lab: &Lab, name: &str) -> Result<std::path::PathBuf> {
    let folder = lab.path().join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn versions() -> Result<Vec<String>> {
    let first_line = |program: &str, argument: &str| -> Result<String> {
        let text = output(tool(program).arg(argument))?;
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    };
    Ok(vec![
        concat!("mainstay ", env!("CARGO_PKG_VERSION")).to_owned(),
        first_line("redis-server", "--version")?,
        first_line(&servers::postgres_program("postgres")?, "--version")?,
        first_line("etcd", "--version")?,
        first_line("rustc", "--version")?,
    ])
}

/// A demand on a figure.
pub(super) fn target(what: &str, found: f64, bound: super::figures::Bound, unit: &'static str) -> Target {
    Target {
        what: what.to_owned(),
        found,
        bound,
        unit,
    }
}
