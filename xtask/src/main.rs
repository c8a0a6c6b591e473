//! What a developer runs: `cargo xtask ci` and its parts.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a developer's tool starts other tools, measures wall time and talks to a terminal"
)]

mod ci;
mod process;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// Everything a developer of Mainstay runs besides cargo itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Every check a change has to pass: fmt, clippy, tidy, tests, deny.
    Ci(ci::Options),
    /// What neither the compiler nor clippy checks: crate graph, fences, sizes, links, leftovers.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Ci(options) => ci::run(&options),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
