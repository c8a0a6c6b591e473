//! How fast `mainstay migrate` moves a store to PostgreSQL and back into the data directory, as a user does it: with the
//! command, on a system that does not run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Effort;
use super::figures::{Bound, Rounds};
use super::lab::Lab;
use super::mainstay;
use super::results::Section;
use super::store::{empty, keys, servers, settle, target};
use crate::process::{output, root, tool};

/// What is wanted at least.
const KEYS_PER_SECOND: f64 = 50_000.0;

/// The part of `mainstay migrate --json` that is measured.
#[derive(Deserialize)]
struct Status {
    phase: String,
    keys: u64,
}

/// One direction.
#[derive(Default)]
struct Direction {
    copy: Rounds,
    verify: Rounds,
    pause_ms: Rounds,
}

/// Measures both directions.
///
/// # Errors
/// When the database does not start, or a command fails.
pub(super) fn run(effort: &Effort) -> Result<()> {
    let (count, rounds) = if effort.is_quick {
        (100_000, 1)
    } else {
        (1_000_000, 3)
    };
    let lab = Lab::in_folder(Path::new("/var/tmp"))?;
    let database = servers::postgres(&lab)?;
    let url = servers::postgres_url(&database);
    let (mut there, mut back) = (Direction::default(), Direction::default());
    for round in 0..rounds {
        let system = System {
            folder: empty(&lab, "system")?,
            name: format!("round-{round}"),
            url: url.clone(),
        };
        keys::fill_and_kill(&system.folder.join(".mainstay/store"), count, 1_000)?;
        settle();
        system.migrate("embedded", "DATABASE_URL", count, &mut there)?;
        std::fs::remove_dir_all(system.folder.join(".mainstay/store"))?;
        settle();
        system.migrate("${DATABASE_URL}", "embedded", count, &mut back)?;
        println!("migrate: round {} of {rounds}", round + 1);
    }
    let versions = [
        mainstay::version()?,
        output(tool(servers::postgres_program("postgres")?).arg("--version"))?,
    ];
    let versions: Vec<String> = versions.iter().map(|version| version.trim().to_owned()).collect();
    let mut section = Section::new("migrate", &versions)?;
    section.add(&format!(
        "{count} keys with values of 256 bytes, by `mainstay migrate` on a system that does not run; PostgreSQL on the same \
         machine. Pause: how long commits would wait at the cut over."
    ));
    let row = |name: &str, direction: &Direction| {
        vec![
            name.to_owned(),
            direction.copy.to_string(),
            direction.verify.to_string(),
            direction.pause_ms.to_string(),
        ]
    };
    section.table(
        &["", "copied keys/s", "verified keys/s", "pause ms"],
        &[
            row("embedded to PostgreSQL", &there),
            row("PostgreSQL to embedded", &back),
        ],
    );
    let bound = Bound::AtLeast(KEYS_PER_SECOND);
    section.targets(&[
        target("keys copied to PostgreSQL", there.copy.median(), bound, "/s"),
        target("keys copied from PostgreSQL", back.copy.median(), bound, "/s"),
    ]);
    section.publish(effort.is_full())
}

/// A system in a folder.
struct System {
    folder: PathBuf,
    name: String,
    url: String,
}

impl System {
    /// Moves it to the end, and measures.
    fn migrate(&self, from: &str, to: &str, count: u64, direction: &mut Direction) -> Result<()> {
        self.name_store(from)?;
        let (copy, verify) = self.copy(to, count)?;
        direction.copy.0.push(copy);
        direction.verify.0.push(verify);
        let moved = output(&mut self.command(&["cut-over", "--json"]))?;
        let last = moved.lines().last().context("nothing was printed")?;
        let status: serde_json::Value = serde_json::from_str(last)?;
        let pause = status["pause_ms"].as_f64().context("the pause is not told")?;
        direction.pause_ms.0.push(pause);
        self.name_store(if to == "embedded" { to } else { "${DATABASE_URL}" })?;
        output(&mut self.command(&["finish", "--json"])).map(drop)
    }

    fn name_store(&self, store: &str) -> Result<()> {
        let manifest = format!(
            "name: {}\nstore: {store}\napps: {{ app: {{ command: [\"true\"] }} }}\n",
            self.name
        );
        std::fs::write(self.folder.join("mainstay.yaml"), manifest)?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = tool(root().join("target/release/mainstay"));
        command
            .arg("migrate")
            .args(arguments)
            .current_dir(&self.folder)
            .env("DATABASE_URL", &self.url);
        command
    }

    /// Copies and compares; gives how many keys a second, each.
    fn copy(&self, to: &str, count: u64) -> Result<(f64, f64)> {
        let mut child = self
            .command(&["--to", to, "--json"])
            .stdout(Stdio::piped())
            .spawn()?;
        let printed = child.stdout.take().context("the command has no output")?;
        let (mut began, mut copied, mut ended) = (None, None, None);
        for line in BufReader::new(printed).lines() {
            let status: Status = serde_json::from_str(&line?).context("a line is no status")?;
            let now = Instant::now();
            match status.phase.as_str() {
                "preparing" | "copying" => _ = began.get_or_insert(now),
                "following" | "verifying" => _ = copied.get_or_insert(now),
                _ => {
                    if status.keys < count {
                        bail!("{} of {count} keys were compared", status.keys);
                    }
                    ended = Some(now);
                }
            }
        }
        if !child.wait()?.success() {
            bail!("`mainstay migrate --to {to}` fails");
        }
        let (Some(began), Some(copied), Some(ended)) = (began, copied, ended) else {
            bail!("it was too fast to be measured: take more keys");
        };
        let per_second = |from: Instant, to: Instant| count as f64 / to.duration_since(from).as_secs_f64();
        Ok((per_second(began, copied), per_second(copied, ended)))
    }
}
