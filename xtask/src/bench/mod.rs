//! Mainstay beside its peers, on this machine.

mod child;
mod client;
mod figures;
mod lab;
mod latency;
mod loads;
mod mainstay;
mod migrate;
mod overload;
mod peers;
mod policy;
mod proxy;
mod results;
mod store;

use std::os::unix::process::CommandExt;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{cargo, root, run as run_tool, tool};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    name: Name,
    /// A short run that shows whether everything works; its figures are printed and not written down.
    #[arg(long)]
    quick: bool,
    /// Leaves the others out; such a run is not written down either.
    #[arg(long)]
    only: Option<Side>,
    #[command(flatten)]
    store: store::Options,
    /// Set in the optimised build of this tool, which does the measuring.
    #[arg(long, hide = true)]
    is_built: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// CPU per request, added latency and memory against nginx, haproxy and Envoy.
    Proxy,
    /// Ten times the load that the callee can bear, with retries at three layers.
    Overload,
    /// The policies of one call, in process.
    Policy,
    /// Durable puts against a plain file, Redis, PostgreSQL and etcd; latency, opening, memory.
    Store,
    /// Moving a million keys between the embedded store and PostgreSQL.
    Migrate,
    /// All of them.
    All,
}

/// A part of the participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    Mainstay,
    Peers,
}

/// How long, how often and with whom.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) is_quick: bool,
    only: Option<Side>,
}

impl Effort {
    /// Only then the results are written down.
    pub(crate) fn is_full(&self) -> bool {
        !self.is_quick && self.only.is_none()
    }

    pub(crate) fn with_mainstay(&self) -> bool {
        self.only != Some(Side::Peers)
    }

    pub(crate) fn with_peers(&self) -> bool {
        self.only != Some(Side::Mainstay)
    }
}

/// Builds what is measured, installs the peers and measures.
///
/// # Errors
/// When something cannot be built, installed, started, or answers wrongly. A missed target is a result and no error.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.is_built {
        return rebuild_and_rerun(options);
    }
    let (rounds, duration) = if options.quick {
        (2, Duration::from_secs(2))
    } else {
        (5, Duration::from_secs(5))
    };
    let effort = Effort {
        rounds,
        duration,
        is_quick: options.quick,
        only: options.only,
    };
    let wanted = |name| options.name == name || options.name == Name::All;
    if wanted(Name::Policy) && effort.with_mainstay() {
        policy::run(&effort)?;
    }
    if wanted(Name::Proxy) {
        proxy::run(&effort)?;
    }
    if wanted(Name::Overload) {
        overload::run(&effort)?;
    }
    if wanted(Name::Store) {
        store::run(&effort, &options.store)?;
    }
    if wanted(Name::Migrate) && effort.with_mainstay() {
        migrate::run(&effort)?;
    }
    Ok(())
}

/// The generator and the small servers share cores with what is measured, so they are optimised too.
fn rebuild_and_rerun(options: &Options) -> Result<()> {
    match options.name {
        Name::Policy => {}
        Name::Proxy | Name::Overload => peers::install(&["proxy"])?,
        Name::Store | Name::Migrate => peers::install(&["store"])?,
        Name::All => peers::install(&["proxy", "store"])?,
    }
    let mut build = cargo(&["build", "--release", "--quiet", "--package", "xtask"]);
    if options.only != Some(Side::Peers) {
        build.args(["--package", "mainstay"]);
    }
    run_tool(&mut build)?;
    let failure = tool(root().join("target/release/xtask"))
        .args(std::env::args_os().skip(1))
        .arg("--is-built")
        .exec();
    Err(failure).context("cannot start the optimised xtask")
}

/// The words that start one of this tool's own servers.
fn part(core: child::Core, arguments: &[&str]) -> Result<Vec<String>> {
    let own = std::env::current_exe()
        .context("this program has no path")?
        .display()
        .to_string();
    let words = core
        .pin()
        .iter()
        .copied()
        .chain([own.as_str(), "part"])
        .chain(arguments.iter().copied());
    Ok(words.map(str::to_owned).collect())
}

/// A versions line for every section: the peers, and Mainstay when it takes part.
fn versions(effort: &Effort) -> Result<Vec<String>> {
    let mut versions = peers::versions()?;
    if effort.with_mainstay() {
        versions.insert(0, mainstay::version()?);
    }
    Ok(versions)
}
