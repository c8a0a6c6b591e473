//! `mainstay logs`.

use std::fmt::Write as _;

use clap::Args as ClapArgs;
use mainstay_api::wire::{LogLine, Status};

use crate::client::{Control, Location, check_apps, print};
use crate::failure::Outcome;
use crate::render::color::Palette;
use crate::render::log::LogRenderer;

/// Show the output of apps
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only these apps; all when none is named
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// Go on with new lines until the system stops
    #[arg(short, long)]
    follow: bool,
    /// Begin with the newest N lines; all that are kept by default
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,
    /// Put the time (UTC) in front of each line
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    location: Location,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows the log.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    check_apps(&control.system().await?, &args.apps)?;
    let renderer = (!args.json).then_some(renderer(&control.status().await?, args.timestamps));
    let mut lines = control.lines(&path(args)).await?;
    while let Some((line, decoded)) = lines.decoded::<LogLine>().await? {
        match &renderer {
            None => print(&(line + "\n"))?,
            Some(renderer) => print(&renderer.line(&decoded))?,
        }
    }
    Ok(0)
}

fn renderer(status: &Status, timestamps: bool) -> LogRenderer {
    let apps = status
        .apps
        .iter()
        .map(|app| (app.app.clone(), app.replicas.len() as u32))
        .collect();
    LogRenderer::new(apps, Palette::of(&std::io::stdout()), timestamps)
}

/// The path of the log with its filter. App names need no escaping.
fn path(args: &Args) -> String {
    let mut path = format!("/api/logs?follow={}", args.follow);
    if let Some(tail) = args.tail {
        let _ = write!(path, "&tail={tail}");
    }
    for app in &args.apps {
        let _ = write!(path, "&app={app}");
    }
    path
}
