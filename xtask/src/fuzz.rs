//! Fuzzing with cargo-fuzz. The targets and their seeds are in `fuzz/`.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{root, run as run_tool, succeeds, tool};

/// What to fuzz.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One of the targets in `fuzz/fuzz_targets`; all of them, one after another, when absent.
    target: Option<String>,
    /// How long, for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes; a finding ends it and is printed with the input that led to it.
///
/// # Errors
/// When a tool is missing or something was found.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets = targets()?;
    let wanted = match &options.target {
        None => targets,
        Some(target) if targets.contains(target) => vec![target.clone()],
        Some(target) => bail!("there is no target `{target}`; there are {}", targets.join(", ")),
    };
    if !succeeds(nightly().arg("--version")) {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install nightly");
    }
    if !succeeds(nightly().args(["fuzz", "--version"])) {
        bail!("fuzzing needs cargo-fuzz: cargo install --locked cargo-fuzz");
    }
    for target in &wanted {
        println!("── {target}, {} s", options.seconds);
        // New inputs go into the first folder; the seeds stay as they are.
        let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
        std::fs::create_dir_all(root().join(&corpus))?;
        let mut command = nightly();
        command.args(["fuzz", "run", target, &corpus, &seeds, "--"]);
        command.args([
            &format!("-max_total_time={}", options.seconds),
            "-max_len=4096",
            "-timeout=10",
        ]);
        command.arg("-print_final_stats=1");
        run_tool(&mut command)
            .with_context(|| format!("{target}: found something, or could not be built"))?;
    }
    println!("nothing found in {}", wanted.join(", "));
    Ok(())
}

/// Names of the targets.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context("fuzz/fuzz_targets")? {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// rustup's cargo with the nightly toolchain, whatever toolchain runs this task.
fn nightly() -> Command {
    let mut command = tool("cargo");
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command.arg("+nightly");
    command
}
