//! `mainstay stop`.

use std::time::Duration;

use clap::Args as ClapArgs;
use mainstay_api::wire::{State, Status};

use crate::client::{Control, Location, print, print_json};
use crate::failure::{Failure, Outcome};
use crate::flags;

/// How often the system is looked at while it stops.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Stop the running system and wait until it has stopped
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = flags::duration)]
    timeout: Duration,
    #[command(flatten)]
    location: Location,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Stops the system; exit code 1 when it has not stopped in time.
pub(crate) async fn run(args: &Args) -> Outcome {
    let (dir, addresses) = args.location.find()?;
    let control = Control::find(&args.location)?;
    control.stop().await?;
    let mut last = None;
    let stopped = async {
        // The lock of the data directory is given up when the process has ended, whatever its end.
        while dir.addresses().ok().flatten().is_some() {
            last = control.status().await.ok().or_else(|| last.take());
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    if tokio::time::timeout(args.timeout, stopped).await.is_err() {
        return Err(Failure::refused(format!(
            "{} has not stopped after {}: still there: {}",
            addresses.name,
            mainstay_base::format_duration(args.timeout),
            last.as_ref()
                .map_or_else(|| "Mainstay itself".to_owned(), remaining)
        )));
    }
    if args.json {
        print_json(&serde_json::json!({"name": addresses.name, "stopped": true}))?;
    } else {
        print(&format!("{} has stopped\n", addresses.name))?;
    }
    Ok(0)
}

/// Names of the replicas that have not ended.
fn remaining(status: &Status) -> String {
    let names: Vec<&str> = status
        .apps
        .iter()
        .flat_map(|app| &app.replicas)
        .filter(|replica| {
            !matches!(
                replica.state,
                State::Stopped | State::Completed | State::Failed { .. }
            )
        })
        .map(|replica| replica.replica.as_str())
        .collect();
    names.join(", ")
}
