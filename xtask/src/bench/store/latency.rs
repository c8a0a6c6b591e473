//! How long a commit takes: alone, and while files are merged behind it all the time.

use std::time::Duration;

use anyhow::Result;

use super::clients::ours;
use super::{CLIENTS, Syncs, settle, target};
use crate::bench::Effort;
use crate::bench::figures::{Bound, Rounds, Target};
use crate::bench::lab::Lab;
use crate::bench::results::Section;
use crate::parts::puts::Report;

/// Puts per second of the paced load: a quarter or less of what the store can do at once.
const RATE: u32 = 20_000;

/// One client, against the disk's own sync.
pub(super) fn single(effort: &Effort, lab: &Lab, section: &mut Section) -> Result<Vec<Target>> {
    let path = super::empty(lab, "single")?.join("store").display().to_string();
    let mut sync_us = Rounds::default();
    let mut commit_us = Rounds::default();
    for round in 0..effort.rounds {
        settle();
        sync_us.0.push(Syncs::measure(lab.path())?.p50_us);
        let report = ours(1, effort.duration, &[], &["embedded", &path])?;
        commit_us.0.push(report.p50_us);
        println!("single: round {} of {}", round + 1, effort.rounds);
    }
    let ratio = commit_us.over(&sync_us);
    section.add(&format!(
        "One client in process: a commit takes p50 {commit_us} µs, the disk's own sync before it p50 {sync_us} µs, so {ratio}x."
    ));
    Ok(vec![target(
        "a single client's commit against the disk's sync, p50",
        ratio.median(),
        Bound::AtMost(1.5),
        "x",
    )])
}

/// Commits while files are merged all the time: as fast as 64 clients can, and at a steady pace; a plain file under the same
/// loads tells what the disk does.
pub(super) fn sustained(duration: Duration, lab: &Lab, section: &mut Section) -> Result<Vec<Target>> {
    let folder = super::empty(lab, "sustained")?;
    let path = |name: &str| folder.join(name).display().to_string();
    let (store, file, rate) = (path("store"), path("file"), RATE.to_string());
    let paced = ["--rate", rate.as_str()];
    let runs: [(&str, &[&str], [&str; 2], Duration); 4] = [
        (
            "Mainstay, as fast as it goes",
            &[],
            ["embedded", &store],
            duration,
        ),
        (
            "plain file, as fast as it goes",
            &[],
            ["file", &file],
            duration / 5,
        ),
        ("Mainstay, paced", &paced, ["embedded", &store], duration),
        ("plain file, paced", &paced, ["file", &file], duration / 5),
    ];
    let mut rows = Vec::new();
    let mut reports = Vec::new();
    for (name, further, target, duration) in runs {
        settle();
        let report = ours(CLIENTS, duration, further, &target)?;
        println!("sustained: {name}: p99.9 {:.1} ms", report.p999_us / 1e3);
        rows.push(row(name, &report));
        reports.push(report);
    }
    section.add(&format!(
        "{CLIENTS} clients for {} s (the plain file for a fifth of it), random keys, so that files are merged all the time; paced \
         are {RATE} puts/s, and latency counts from when a put was due.",
        duration.as_secs()
    ));
    let heads = ["", "puts/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "peak MiB"];
    section.table(&heads, &rows);
    let p999_ms = |index: usize| reports[index].p999_us / 1e3;
    let bound = Bound::AtMost(20.0);
    Ok(vec![
        target("p99.9 of commits, as fast as it goes", p999_ms(0), bound, " ms"),
        target("p99.9 of commits, paced", p999_ms(2), bound, " ms"),
    ])
}

fn row(name: &str, report: &Report) -> Vec<String> {
    let ms = |us: f64| format!("{:.2}", us / 1e3);
    vec![
        name.to_owned(),
        format!("{:.0}", report.puts as f64 / report.seconds),
        ms(report.p50_us),
        ms(report.p99_us),
        ms(report.p999_us),
        ms(report.max_us),
        format!("{:.0}", report.peak_resident_bytes as f64 / (1024.0 * 1024.0)),
    ]
}
