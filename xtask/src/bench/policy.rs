//! The price of the policies of one call, in process: the criterion bench of mainstay-policy.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Effort;
use super::figures::{Bound, Target, shown};
use super::mainstay;
use super::results::Section;
use crate::process::{cargo, root, run as run_tool};

/// The bench that the target is about: everything a call passes, in the order of the call path.
const PIPELINE: &str = "policy/whole pipeline";

/// Runs the bench and reads what criterion wrote.
pub(super) fn run(effort: &Effort) -> Result<()> {
    let folder = root().join("target/criterion");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("figures of earlier runs cannot be removed")?;
    }
    let mut arguments = vec![
        "bench",
        "--quiet",
        "--package",
        "mainstay-policy",
        "--benches",
        "--",
    ];
    if effort.is_quick {
        arguments.push("--quick");
    }
    run_tool(&mut cargo(&arguments))?;

    let mut rows = Vec::new();
    let mut pipeline_ns = None;
    for (name, estimates) in benches(&folder)? {
        let figure = |kind: &str, value: &str| {
            estimates[kind][value]
                .as_f64()
                .context("criterion gave no figure")
        };
        let median = figure("median", "point_estimate")?;
        let spread = figure("median_abs_dev", "point_estimate")?;
        if name == PIPELINE {
            pipeline_ns = Some(median);
        }
        rows.push(vec![name, shown(median), shown(spread)]);
    }
    let Some(found) = pipeline_ns else {
        bail!("mainstay-policy has no bench called {PIPELINE}")
    };

    let mut section = Section::new("policy", &[mainstay::version()?])?;
    section.add("The policies of a call in process, without any I/O (criterion).");
    section.table(&["", "median ns", "median absolute deviation ns"], &rows);
    let what = "whole pipeline".to_owned();
    let target = Target {
        what,
        found,
        bound: Bound::AtMost(150.0),
        unit: " ns",
    };
    section.add(&format!(
        "- {target}\n- allocations: none; the test `a_call_through_the_whole_pipeline_allocates_nothing` counts them"
    ));
    section.publish(effort.is_full())
}

/// Names and estimates, by name.
fn benches(folder: &Path) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
        let estimates = folder.join("estimates.json");
        if folder.ends_with("new") && estimates.exists() {
            let bench: Value =
                serde_json::from_str(&std::fs::read_to_string(folder.join("benchmark.json"))?)?;
            let name = bench["full_id"]
                .as_str()
                .context("criterion gave no name")?
                .to_owned();
            found.push((name, serde_json::from_str(&std::fs::read_to_string(estimates)?)?));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
