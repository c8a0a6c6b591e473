//! Every check a change has to pass, in the order of their cost.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::{cargo, run as run_tool, succeeds};
use crate::tidy;

/// What `cargo xtask ci` does.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs the remaining steps after one has failed.
    #[arg(long)]
    keep_going: bool,
    /// Leaves a step out; may be repeated.
    #[arg(long, value_name = "STEP")]
    skip: Vec<Step>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    Fmt,
    Clippy,
    Tidy,
    Test,
    Deny,
}

const STEPS: [Step; 5] = [Step::Fmt, Step::Clippy, Step::Tidy, Step::Test, Step::Deny];

/// How a step ended.
enum Outcome {
    Passed,
    Skipped(&'static str),
    Failed(anyhow::Error),
}

/// Runs the steps and prints one line for each at the end.
///
/// # Errors
/// Names the steps that failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut done: Vec<(Step, Outcome, Duration)> = Vec::new();
    for step in STEPS {
        println!("── {}", step.name());
        let started = Instant::now();
        let outcome = if options.skip.contains(&step) {
            Outcome::Skipped("asked for with --skip")
        } else {
            step.run()
        };
        let failed = matches!(outcome, Outcome::Failed(_));
        done.push((step, outcome, started.elapsed()));
        if failed && !options.keep_going {
            break;
        }
    }
    summarise(&done)
}

fn summarise(done: &[(Step, Outcome, Duration)]) -> Result<()> {
    println!("──");
    let mut failed = Vec::new();
    for (step, outcome, elapsed) in done {
        let (word, detail) = match outcome {
            Outcome::Passed => ("ok", String::new()),
            Outcome::Skipped(reason) => ("skipped", (*reason).to_owned()),
            Outcome::Failed(error) => {
                failed.push(step.name());
                ("FAILED", format!("{error:#}"))
            }
        };
        let line = format!(
            "{:8}{word:9}{:6.1} s  {detail}",
            step.name(),
            elapsed.as_secs_f64()
        );
        println!("{}", line.trim_end());
    }
    let not_reached: Vec<_> = STEPS[done.len()..].iter().map(|step| step.name()).collect();
    if !not_reached.is_empty() {
        println!(
            "not run: {} (--keep-going runs them all the same)",
            not_reached.join(", ")
        );
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Test => "test",
            Self::Deny => "deny",
        }
    }

    fn run(self) -> Outcome {
        let result = match self {
            Self::Fmt => run_tool(&mut cargo(&["fmt", "--all", "--check"])).and_then(|()| {
                // A workspace of its own.
                run_tool(&mut cargo(&[
                    "fmt",
                    "--manifest-path",
                    "fuzz/Cargo.toml",
                    "--check",
                ]))
            }),
            Self::Clippy => run_tool(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Tidy => tidy::run(),
            Self::Test => run_tool(&mut cargo(&["test", "--workspace"])),
            Self::Deny if !succeeds(&mut cargo(&["deny", "--version"])) => {
                return Outcome::Skipped("not installed: cargo install --locked cargo-deny");
            }
            Self::Deny => run_tool(&mut cargo(&["deny", "--workspace", "check"])),
        };
        match result {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(error),
        }
    }
}
