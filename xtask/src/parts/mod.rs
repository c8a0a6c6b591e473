//! Small servers that the benches start as processes of their own. Each listens on `127.0.0.1:$PORT`.

mod callee;
mod echo;
mod layer;
mod server;

use anyhow::Result;

/// A server.
#[derive(clap::Subcommand)]
pub(crate) enum Part {
    /// Answers everything at once: gRPC with the message it got, anything else with 200.
    Echo,
    /// Does a fixed number of things at a time, each taking a while, and queues without limit.
    Callee(callee::Options),
    /// Passes each request on to the next one.
    Layer(layer::Options),
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn run(part: Part) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match part {
            Part::Echo => echo::serve().await,
            Part::Callee(options) => callee::serve(options).await,
            Part::Layer(options) => layer::serve(options).await,
        }
    })
}
