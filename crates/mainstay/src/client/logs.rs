//! `mainstay logs`.

use std::fmt::Write as _;

use clap::Args as ClapArgs;
use http_body_util::BodyExt as _;
use mainstay_api::wire::{LogLine, Status};
use mainstay_mesh::Body;

use crate::client::{Control, Location, check_apps, print};
use crate::failure::{Failure, Outcome};
use crate::render::color::Palette;
use crate::render::log::LogRenderer;

/// Longest line of the stream: 64 KiB of text, escaped.
const MAX_LINE_BYTES: usize = 1024 * 1024;

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
    let mut lines = Lines::new(control.stream(&path(args)).await?);
    while let Some(line) = lines.next().await? {
        match &renderer {
            None => print(&(line + "\n"))?,
            Some(renderer) => print(&renderer.line(&decode(&line)?))?,
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

fn decode(line: &str) -> Result<LogLine, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::refused(format!("the log has a line of another kind: {error}")))
}

/// The lines of a body that streams.
struct Lines {
    body: Body,
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// The next line without its break; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            searched = self.buffer.len();
            if self.ended {
                return Ok(None);
            }
            if searched > MAX_LINE_BYTES {
                return Err(Failure::refused("the log has a line without end"));
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => self
                    .buffer
                    .extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => return Err(Failure::refused(format!("the log broke off: {error}"))),
            }
        }
    }
}
