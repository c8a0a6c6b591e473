//! What a developer runs: `cargo xtask ci` and its parts.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a developer's tool starts other tools, measures wall time and talks to a terminal"
)]

mod bench;
mod ci;
mod fuzz;
mod load;
mod parts;
mod process;
mod procfs;
mod soak;
mod tidy;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// The one of the binary, so that what is measured in process behaves as it does there.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Everything a developer of Mainstay runs besides cargo itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Every check a change has to pass: fmt, clippy, tidy, tests, deny.
    Ci(ci::Options),
    /// What neither the compiler nor clippy checks: crate graph, fences, sizes, links, leftovers, the lock of `fuzz`.
    Tidy,
    /// Measures Mainstay beside its peers on this machine.
    Bench(bench::Options),
    /// Fuzzes the parsers.
    Fuzz(fuzz::Options),
    /// The long versions of the tests of crashes and damage.
    #[command(subcommand)]
    Soak(soak::Soak),
    /// One of the small servers that the benches start.
    #[command(subcommand, hide = true)]
    Part(parts::Part),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Ci(options) => ci::run(&options),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Soak(soak) => soak::run(&soak),
        Task::Part(part) => parts::run(part),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
