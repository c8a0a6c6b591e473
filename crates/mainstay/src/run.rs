//! `mainstay run`: the main job.

mod announce;
mod caches;
mod environment;
mod holder;
mod ports;
mod say;
mod screen;
mod session;
mod signals;
mod surroundings;
pub(crate) mod traces;
mod traffic;
mod wiring;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use tokio::sync::mpsc;

pub(crate) use ports::listen;
pub(crate) use signals::Signals;

use crate::data_dir::{DEFAULT_NAME, DataDir};
use crate::failure::Outcome;
use crate::folder::{self, Folder};
use crate::manifest::{self, INGRESS, Manifest};
use crate::messages::{self, Format};
use crate::render::color::Palette;
use crate::render::log::LogRenderer;
use crate::run::say::Voice;
use crate::run::screen::Screen;
use crate::run::session::{Output, Stops};
use crate::run::wiring::{Running, Settings};
use crate::runtime::{self, unstarted};

/// Threads of everything that is not the data plane.
const CONTROL_THREADS: usize = 2;

/// Start everything in the manifest, print the URLs, follow the log, and stop gracefully on Ctrl-C
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    folder: Folder,
    /// Where the control API listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4400")]
    control_addr: SocketAddr,
    /// Where the ingress listens; port 0 takes a free one
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
pub(crate) fn run(args: &Args) -> Outcome {
    messages::start("warn", if args.json { Format::Json } else { Format::Text })?;
    let manifest = manifest::load(args.folder.path())?;
    let data_dir = args.data_dir.clone();
    let lease = DataDir::new(data_dir.unwrap_or_else(|| manifest.dir.join(DEFAULT_NAME))).lease()?;
    lease.refuse_unfinished()?;
    let variable = |name: &str| std::env::var(name).ok();
    let settings = Settings {
        control: args.control_addr,
        ingress: args.ingress_addr,
        traces: traces::export(variable)?,
        otlp_endpoint: variable("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|value| !value.is_empty()),
    };
    let runtime = runtime::control(CONTROL_THREADS)?;
    runtime.block_on(async {
        let (wish, wishes) = mpsc::channel(1);
        let stops = Stops {
            signals: Signals::listen().map_err(|error| unstarted(&error))?,
            wishes,
            drain: longest_drain(&manifest),
        };
        let output = Arc::new(Output {
            voice: voice(args, &manifest),
            screen: Screen::start().map_err(|error| unstarted(&error))?,
        });
        let notices: Vec<String> = manifest.notices.iter().map(ToString::to_string).collect();
        // A wish that is not the first one finds the channel full, and is granted by the first.
        let stop = Arc::new(move || {
            let _ = wish.try_send(());
        });
        let running = Running::start(&manifest, &settings, lease, stop).await?;
        let started = output.voice.started(&running.system, &notices);
        output.screen.write(started).await;
        let code = session::follow(running, stops, &output).await;
        if let Some(output) = Arc::into_inner(output) {
            output.screen.close().await;
        }
        Ok(code)
    })
}

/// How long calls under way may take when the system stops.
fn longest_drain(manifest: &Manifest) -> Duration {
    let drains = manifest.apps.iter().map(|app| app.spec.stop.drain);
    drains.max().unwrap_or_default()
}

fn voice(args: &Args, manifest: &Manifest) -> Voice {
    if args.json {
        return Voice::Json;
    }
    let palette = Palette::of(&std::io::stdout());
    let apps = manifest.apps.iter();
    let apps = apps
        .map(|app| (app.id().to_string(), app.spec.replicas))
        .collect();
    Voice::Text {
        log: LogRenderer::new(apps, palette, args.timestamps),
        palette,
        location: location(args),
        explain: explain(&folder::flag(args.folder.path()), manifest),
    }
}

/// What other commands in this folder need to find the system.
fn location(args: &Args) -> String {
    match &args.data_dir {
        Some(data_dir) => format!(" --data-dir {}", folder::word(data_dir)),
        None => folder::flag(args.folder.path()),
    }
}

/// A command that explains the first edge of the manifest: one between two apps, or else one of the front door.
fn explain(flag: &str, manifest: &Manifest) -> Option<String> {
    let mut apps = manifest.apps.iter();
    let between = apps.find_map(|app| Some((app.id().as_str(), &app.calls.first()?.target)));
    let edge = between.or_else(|| {
        let mut apps = manifest.apps.iter();
        let front = apps.find(|app| !app.routes.is_empty())?;
        Some((INGRESS, front.id()))
    });
    let (caller, target) = edge?;
    Some(format!("mainstay explain '{caller}->{target}'{flag}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::load_text;

    #[test]
    fn an_edge_is_explained_where_there_is_one() {
        for (apps, expected) in [
            (
                "{ a: { command: x, ingress: {}, calls: [b] }, b: { command: x } }",
                Some("mainstay explain 'a->b' --dir shop"),
            ),
            (
                "{ a: { command: x }, b: { command: x, ingress: {} } }",
                Some("mainstay explain 'ingress->b' --dir shop"),
            ),
            ("{ a: { command: x } }", None),
        ] {
            let manifest = load_text(&format!("apps: {apps}\n")).expect("a manifest");
            assert_eq!(explain(" --dir shop", &manifest).as_deref(), expected);
        }
    }
}
