//! `mainstay daprd`: a sidecar with daprd's flags for one app that is started elsewhere.

mod args;
mod ignored;
mod quantity;

pub(crate) use args::{Args, parse};

use crate::failure::{Failure, Outcome};

/// Serves the Dapr API for one app until it is told to stop.
pub(crate) fn run(args: Args) -> Outcome {
    let _ = args;
    Err(Failure::usage("not wired yet"))
}
