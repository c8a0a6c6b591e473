//! Small servers and clients that the benches start as processes of their own. A server listens on `127.0.0.1:$PORT`; a
//! client prints what it found as a line of JSON.

mod callee;
mod echo;
pub(crate) mod keys;
mod layer;
pub(crate) mod puts;
pub(crate) mod requests;
mod server;

use anyhow::Result;

/// The state component that every app has.
const STORE: &str = "statestore";

/// A server or a client.
#[derive(clap::Subcommand)]
pub(crate) enum Part {
    /// Answers everything at once: gRPC with the message it got, anything else with 200.
    Echo,
    /// Does a fixed number of things at a time, each taking a while, and queues without limit.
    Callee(callee::Options),
    /// Passes each request on to the next one.
    Layer(layer::Options),
    /// Clients that put values.
    Puts(puts::Options),
    /// A client of Mainstay's state over HTTP.
    Requests(requests::Options),
    /// An embedded store with many keys.
    #[command(subcommand)]
    Keys(keys::Keys),
}

/// Serves until it is killed, or does what it has to.
///
/// # Errors
/// When it cannot listen, or not do it.
pub(crate) fn run(part: Part) -> Result<()> {
    // A server gets one core; clients may use all of them, as the threads of an application would.
    let mut builder = match part {
        Part::Echo | Part::Callee(_) | Part::Layer(_) | Part::Requests(_) => {
            tokio::runtime::Builder::new_current_thread()
        }
        Part::Puts(_) | Part::Keys(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(async {
        match part {
            Part::Echo => echo::serve().await,
            Part::Callee(options) => callee::serve(options).await,
            Part::Layer(options) => layer::serve(options).await,
            Part::Puts(options) => puts::run(options).await,
            Part::Keys(keys) => keys::run(keys).await,
            Part::Requests(options) => requests::run(&options),
        }
    })
}
