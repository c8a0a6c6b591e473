//! `mainstay status`.

use std::time::Duration;

use clap::Args as ClapArgs;
use mainstay_api::wire::{Status, System};
use serde::Serialize;

use crate::client::{Control, Location, print, print_json};
use crate::clock;
use crate::failure::Outcome;
use crate::render::color::Palette;
use crate::render::{status, time};

/// Show what runs and the traffic between it
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    location: Location,
    /// Print one JSON object: the system with its addresses, its processes, edges and targets
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `--json` prints: what stays and what changes, in one object.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    system: System,
    status: Status,
}

/// Shows the status.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    let system = control.system().await?;
    let now_status = control.status().await?;
    if args.json {
        print_json(&Report {
            system,
            status: now_status,
        })?;
    } else {
        print(&text(&system, &now_status))?;
    }
    Ok(0)
}

fn text(system: &System, now_status: &Status) -> String {
    let now = clock::unix_ms();
    let up = time::span(Duration::from_millis(now.saturating_sub(system.started_unix_ms)));
    let ingress = system
        .ingress_url
        .as_ref()
        .map_or_else(String::new, |url| format!(", ingress {url}"));
    let head = format!(
        "{} (pid {}), up {up}, control {}{ingress}\n\n",
        system.name, system.pid, system.control_url
    );
    head + &status::status(now_status, now, Palette::of(&std::io::stdout()))
}
