//! `mainstay backup`: a backup of the system, verified; keys for backups; looking at those there are.

mod keys;
mod list;
mod make;
mod meter;
mod remote;
mod repositories;
mod system;
mod verify;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use mainstay_backup::BackupError;

pub(crate) use keys::KeyArgs;
pub(crate) use meter::Meter;
pub(crate) use repositories::S3Args;
pub(crate) use system::{Stopped, SystemArgs};

use crate::failure::{Failure, Outcome};

/// Back up everything that the system keeps, while it runs or while it does not
///
/// The backup is of one moment, compressed, encrypted, and read back before it has its name. With the system's secrets in
/// it, it is enough to go on elsewhere: see `mainstay restore`.
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to: a file, or s3://BUCKET/KEY. In a folder, or under a key that ends with /, it is named after the system and
    /// the time
    #[arg(value_name = "TARGET", required_unless_present = "new_key")]
    target: Option<String>,
    /// Make a key for backups in a new file, and nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "key_file", "unencrypted"])]
    new_key: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    system: SystemArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Verify(verify::Args),
    List(list::Args),
}

impl Args {
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            None => self.json,
            Some(Command::Verify(args)) => args.json,
            Some(Command::List(args)) => args.json,
        }
    }
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    match (&args.command, &args.new_key, &args.target) {
        (Some(Command::Verify(args)), ..) => verify::run(args).await,
        (Some(Command::List(args)), ..) => list::run(args).await,
        (None, Some(file), _) => keys::make(file, args.json),
        (None, None, Some(target)) => make::run(args, target).await,
        // The command line does not let this through.
        (None, None, None) => Err(Failure::usage("say where to: a file, or s3://BUCKET/KEY")),
    }
}

/// What went wrong with a backup, as an answer of no.
pub(crate) fn refused(error: &BackupError) -> Failure {
    Failure::refused(error.to_string())
}
