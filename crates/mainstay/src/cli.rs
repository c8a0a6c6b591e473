//! The command line: which commands there are. Each module owns the arguments of its command.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::{backup, check, client, daprd, explain, restore, run, schema};

/// Runs the services of one manifest, connects them, and protects each by the SLA it promises
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Check(check::Args),
    Explain(explain::Args),
    Status(client::status::Args),
    Logs(client::logs::Args),
    Restart(client::restart::Args),
    Stop(client::stop::Args),
    State(client::state::Args),
    Config(client::config::Args),
    Secret(client::secret::Args),
    Cache(client::cache::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Migrate(client::migrate::Args),
    Wait(client::wait::Args),
    Daprd(Box<daprd::Args>),
    Schema(schema::Args),
    /// Print the completion script of a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Whether failures are told as JSON as well.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Run(args) => args.json,
            Self::Check(args) => args.json,
            Self::Explain(args) => args.json,
            Self::Status(args) => args.json,
            Self::Logs(args) => args.json,
            Self::Restart(args) => args.json,
            Self::Stop(args) => args.json,
            Self::State(args) => args.json,
            Self::Config(args) => args.json,
            Self::Secret(args) => args.json,
            Self::Cache(args) => args.json,
            Self::Backup(args) => args.wants_json(),
            Self::Restore(args) => args.json,
            Self::Migrate(args) => args.json,
            Self::Wait(args) => args.json,
            Self::Daprd(args) => args.log_as_json,
            Self::Completion { .. } | Self::Schema(_) => false,
        }
    }
}

/// The completion script of `shell`.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
