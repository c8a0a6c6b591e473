//! An embedded store with many keys: how fast it opens after a kill, and what it keeps in memory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::{settle, target};
use crate::bench::Effort;
use crate::bench::figures::{Bound, Rounds, Target};
use crate::bench::lab::Lab;
use crate::bench::results::Section;
use crate::parts::keys::Report;
use crate::process::{output, tool};

const MIB: f64 = 1024.0 * 1024.0;

/// Opens a store of a million keys whose process was killed right after the last commit.
pub(super) fn open(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Target> {
    let (keys, rounds) = if effort.is_quick {
        (100_000, 1)
    } else {
        (1_000_000, 3)
    };
    let mut seconds = Rounds::default();
    let mut reads = Rounds::default();
    for round in 0..rounds {
        let folder = super::empty(lab, "open")?.join("store");
        fill_and_kill(&folder, keys, 1)?;
        settle();
        let report = open_again(&folder, keys)?;
        seconds.0.push(report.seconds);
        reads.0.push(report.reads_per_second);
        println!("open: round {} of {rounds}", round + 1);
    }
    section.add(&format!(
        "{keys} keys were put one by one, and the process was killed: the store opens in {seconds} s; one client then reads \
         {reads} keys/s."
    ));
    let what = "open after a million keys and a kill";
    Ok(target(what, seconds.median(), Bound::AtMost(1.0), " s"))
}

/// Fills a store with ten million keys, kills it, opens it, reads and puts.
pub(super) fn memory(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Target> {
    let keys = if effort.is_quick { 1_000_000 } else { 10_000_000 };
    let folder = super::empty(lab, "memory")?.join("store");
    let filled = fill_and_kill(&folder, keys, 8)?;
    println!("memory: filled in {:.0} s", filled.seconds);
    let opened = open_again(&folder, keys)?;
    let mib = |bytes: u64| bytes as f64 / MIB;
    section.add(&format!(
        "Memory with {keys} keys, all of the process: {:.0} MiB at most and {:.0} MiB at the end while 64 clients put them, 8 in a \
         commit ({:.0} keys/s); {:.0} MiB when it was opened again (in {:.2} s), {:.0} MiB at most while they were read \
         ({:.0} a second) and put at random.",
        mib(filled.peak_resident_bytes),
        mib(filled.resident_bytes),
        keys as f64 / filled.seconds,
        mib(opened.resident_bytes),
        opened.seconds,
        mib(opened.peak_resident_bytes),
        opened.reads_per_second,
    ));
    let peak = filled.peak_resident_bytes.max(opened.peak_resident_bytes);
    let what = "memory at ten million keys, at most";
    Ok(target(what, mib(peak), Bound::AtMost(192.0), " MiB"))
}

/// Fills a store in a process of its own and kills that without a warning.
pub(in crate::bench) fn fill_and_kill(folder: &Path, keys: u64, batch: u64) -> Result<Report> {
    let mut command = tool(std::env::current_exe()?);
    command
        .args(["part", "keys", "fill", "--keys", &keys.to_string()])
        .args(["--batch", &batch.to_string()])
        .arg(folder)
        // The process ends with this pipe.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    let printed = child.stdout.take().context("the process has no output")?;
    BufReader::new(printed).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    serde_json::from_str(&line).context("the store was not filled")
}

fn open_again(folder: &Path, keys: u64) -> Result<Report> {
    let mut command = tool(std::env::current_exe()?);
    command
        .args([
            "part",
            "keys",
            "open",
            "--seconds",
            "5",
            "--keys",
            &keys.to_string(),
        ])
        .arg(folder);
    serde_json::from_str(&output(&mut command)?).context("the process says something else than a report")
}
