//! `mainstay run`: the main job.

mod holder;
mod ports;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::failure::{Failure, Outcome};

/// Start everything in the manifest, print the URLs, follow the log, and stop gracefully on Ctrl-C
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// Folder of the manifest
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where the control API listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4400")]
    control_addr: SocketAddr,
    /// Where the front door listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    ingress_addr: SocketAddr,
    /// Where the system keeps its data; .mainstay beside the manifest by default
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Put the time (UTC) in front of each line of the log
    #[arg(short, long)]
    timestamps: bool,
    /// Print one JSON object per line: the log and what happens to the system
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a system until it is told to stop or all of it has ended.
pub(crate) fn run(args: Args) -> Outcome {
    let _ = args;
    Err(Failure::usage("not wired yet"))
}
