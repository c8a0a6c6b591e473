//! `mainstay restart`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args as ClapArgs;
use mainstay_api::wire::{Replica, State, Status};

use crate::client::{Control, Location, check_apps, print, print_json};
use crate::failure::{Failure, Outcome};
use crate::flags;

/// How often the system is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Restart the replicas of an app one after another, without losing a call, and wait until all are ready
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// The app
    #[arg(value_name = "APP")]
    app: String,
    /// Return as soon as the restart has begun
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = flags::duration)]
    timeout: Duration,
    #[command(flatten)]
    location: Location,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Restarts; exit code 1 when the new processes are not ready in time.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    check_apps(&control.system().await?, std::slice::from_ref(&args.app))?;
    let before = pids(&control.status().await?, &args.app);
    control.restart(&args.app).await?;
    if !args.no_wait {
        let restarted = async {
            while !is_done(&control.status().await?, &args.app, &before)? {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            Ok(())
        };
        tokio::time::timeout(args.timeout, restarted)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::refused(format!(
                    "{} is not ready again after {}: see `mainstay status` and `mainstay logs {}`",
                    args.app,
                    mainstay_base::format_duration(args.timeout),
                    args.app
                )))
            })?;
    }
    let word = if args.no_wait { "restarting" } else { "restarted" };
    if args.json {
        print_json(&serde_json::json!({"app": args.app, "state": word}))?;
    } else {
        print(&format!("{}: {word}\n", args.app))?;
    }
    Ok(0)
}

fn replicas<'a>(status: &'a Status, app: &'a str) -> impl Iterator<Item = &'a Replica> {
    status
        .apps
        .iter()
        .filter(move |candidate| candidate.app == app)
        .flat_map(|app| &app.replicas)
}

/// The process of each replica.
fn pids(status: &Status, app: &str) -> BTreeMap<u32, Option<u32>> {
    replicas(status, app)
        .map(|replica| (replica.index, replica.pid))
        .collect()
}

/// Whether every replica runs a new process that is ready (or has already done its work).
fn is_done(status: &Status, app: &str, before: &BTreeMap<u32, Option<u32>>) -> Result<bool, Failure> {
    for replica in replicas(status, app) {
        let old = before.get(&replica.index).copied().flatten();
        match &replica.state {
            State::Failed { reason } => {
                return Err(Failure::refused(format!(
                    "{} has failed: {reason}",
                    replica.replica
                )));
            }
            State::Completed => {}
            State::Ready if replica.pid != old => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
