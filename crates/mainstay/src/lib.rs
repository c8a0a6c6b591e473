//! The `mainstay` command as a library, so that tests and fuzz targets reach what is inside.

mod archive;
mod assembly;
mod backup;
mod cache_servers;
mod check;
mod cli;
mod client;
mod clock;
mod components;
mod daprd;
mod data_dir;
mod diagnostic;
mod document;
mod explain;
mod failure;
mod flags;
mod folder;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod manifest;
mod messages;
mod migration;
mod nofile;
mod render;
mod resources;
mod restore;
mod run;
mod runtime;
mod schema;
mod secret;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::{Failure, Outcome};
use crate::messages::Format;
use crate::runtime::unstarted;

/// The hidden first argument that makes this program the guard of a replica (see `mainstay_host::guard`).
const GUARD: &str = "__guard";

/// Does what the command line says; the exit code is 0 for good, 1 for a no, 2 for wrong usage or configuration.
pub fn main() -> ExitCode {
    // First of all: there is one guard for each replica, and it shall cost next to nothing.
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == GUARD).is_some() {
        return mainstay_host::guard::run(arguments);
    }
    let command = parse();
    let json = command.wants_json();
    match perform(command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            report(&failure, json);
            ExitCode::from(failure.code())
        }
    }
}

/// Reads the command line; a wrong one, `--help` and `--version` end the process here.
fn parse() -> Command {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    // A link called `daprd` is how tools of the Dapr world start and find a sidecar.
    if Path::new(&called).file_stem().is_some_and(|name| name == "daprd") {
        return Command::Daprd(Box::new(daprd::parse(arguments)));
    }
    let arguments: Vec<_> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "daprd") {
        return Command::Daprd(Box::new(daprd::parse(arguments.into_iter().skip(1))));
    }
    Cli::parse().command
}

fn perform(command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Daprd(args) => daprd::run(&args),
        Command::Status(args) => ask(client::status::run(&args)),
        Command::Logs(args) => ask(client::logs::run(&args)),
        Command::Restart(args) => ask(client::restart::run(&args)),
        Command::Stop(args) => ask(client::stop::run(&args)),
        Command::State(args) => ask(client::state::run(&args)),
        Command::Config(args) => ask(client::config::run(&args)),
        Command::Secret(args) => ask(client::secret::run(&args)),
        Command::Cache(args) => ask(client::cache::run(&args)),
        Command::Backup(args) => ask(backup::run(&args)),
        Command::Restore(args) => ask(restore::run(&args)),
        Command::Migrate(args) => ask(client::migrate::run(&args)),
        Command::Wait(args) => ask(client::wait::run(&args)),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completion { shell } => {
            let script = cli::completion(shell);
            client::print(&String::from_utf8_lossy(&script)).map(|()| 0)
        }
    }
}

/// Runs a command that talks to a running system.
fn ask(command: impl Future<Output = Outcome>) -> Outcome {
    messages::start("warn", Format::Text)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unstarted(&error))?
        .block_on(command)
}

/// Says on standard error why the command failed.
fn report(failure: &Failure, json: bool) {
    let text = if json {
        failure.to_json().to_string()
    } else {
        failure.report()
    };
    // Nobody is left to be told when this fails.
    let _ = writeln!(io::stderr(), "{text}");
}
