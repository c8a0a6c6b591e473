//! `mainstay daprd`: a sidecar with daprd's flags for one app that is started elsewhere.

mod args;
mod health;
mod ignored;
mod quantity;
mod sidecar;
mod topology;

use std::time::Duration;

use tokio::sync::mpsc;

pub(crate) use args::{Args, parse};

use crate::daprd::sidecar::Sidecar;
use crate::failure::Outcome;
use crate::messages::{self, Format};
use crate::run::Signals;
use crate::runtime::{self, unstarted};

/// Threads of everything that is not the data plane.
const CONTROL_THREADS: usize = 1;

/// Serves the Dapr API for one app until it is told to stop.
pub(crate) fn run(args: &Args) -> Outcome {
    let format = if args.log_as_json {
        Format::Json
    } else {
        Format::Text
    };
    messages::start(args.log_level.filter(), format)?;
    for (flag, reason) in args.ignored.given() {
        tracing::info!("--{flag} has no effect: {reason}");
    }
    let runtime = runtime::control(CONTROL_THREADS)?;
    let code = runtime.block_on(serve(args))?;
    Ok(code)
}

async fn serve(args: &Args) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| unstarted(&error))?;
    let (wish, mut wishes) = mpsc::channel(1);
    let sidecar = Sidecar::start(args, wish).await?;
    tokio::select! {
        () = signals.next() => {}
        Some(()) = wishes.recv() => {}
    }
    let limit = Duration::from_secs(args.dapr_graceful_shutdown_seconds);
    tracing::info!(
        "shutting down, calls under way have {}",
        mainstay_base::format_duration(limit)
    );
    tokio::select! {
        () = sidecar.stop(limit) => {}
        () = signals.next() => tracing::warn!("cutting what is left"),
    }
    Ok(0)
}
