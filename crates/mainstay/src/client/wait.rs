//! `mainstay wait`.

use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use mainstay_api::wire::{Replica, State, Status};

use crate::client::{Control, Location, check_apps, print, print_json};
use crate::failure::{Failure, Outcome};
use crate::flags;

/// How often the system is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Wait until apps are ready, have completed or have stopped
///
/// Also waits for the system itself to come up. Exit code 1 when the time is over, or when the wait has become pointless
/// because an app failed for good.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only these apps; all when none is named
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// What to wait for
    #[arg(long = "for", value_name = "STATE", value_enum, default_value_t = Goal::Ready)]
    goal: Goal,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = flags::duration)]
    timeout: Duration,
    #[command(flatten)]
    location: Location,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// Every replica takes traffic, or has completed
    Ready,
    /// Every replica ended with exit code 0
    Completed,
    /// No process is left
    Stopped,
}

/// How far one look at the system has got.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Reached,
    /// What is still missing, in words.
    Waiting(String),
}

/// Waits.
pub(crate) async fn run(args: &Args) -> Outcome {
    let mut last = String::new();
    let wait = async {
        loop {
            match look(args).await? {
                Progress::Reached => return Ok::<_, Failure>(()),
                Progress::Waiting(what) => last = what,
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    let Ok(reached) = tokio::time::timeout(args.timeout, wait).await else {
        let timeout = mainstay_base::format_duration(args.timeout);
        return Err(Failure::refused(format!("after {timeout}, {last}")));
    };
    reached?;
    let goal = args
        .goal
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    if args.json {
        print_json(&serde_json::json!({"apps": args.apps, "state": goal}))?;
    } else if args.apps.is_empty() {
        print(&format!("all apps: {goal}\n"))?;
    } else {
        print(&format!("{}: {goal}\n", args.apps.join(", ")))?;
    }
    Ok(0)
}

async fn look(args: &Args) -> Result<Progress, Failure> {
    // A system that is not there yet, or goes away between two questions, is something to wait for.
    let answers = async {
        let control = Control::find(&args.location)?;
        Ok::<_, Failure>((control.system().await?, control.status().await?))
    };
    match answers.await {
        Ok((system, status)) => {
            check_apps(&system, &args.apps)?;
            judge(&status, &args.apps, args.goal)
        }
        Err(_) if args.goal == Goal::Stopped && args.location.find().is_err() => Ok(Progress::Reached),
        Err(failure) => Ok(Progress::Waiting(failure.to_string())),
    }
}

/// Whether every wanted replica is where it shall be.
fn judge(status: &Status, apps: &[String], goal: Goal) -> Result<Progress, Failure> {
    let mut missing = Vec::new();
    let wanted = status
        .apps
        .iter()
        .filter(|app| apps.is_empty() || apps.contains(&app.app))
        .flat_map(|app| &app.replicas);
    for replica in wanted {
        match (goal, &replica.state) {
            (Goal::Ready, State::Ready | State::Completed)
            | (Goal::Completed, State::Completed)
            | (Goal::Stopped, State::Stopped | State::Completed | State::Failed { .. }) => {}
            (_, State::Failed { reason }) => {
                return Err(Failure::refused(format!(
                    "{} has failed: {reason}",
                    replica.replica
                )));
            }
            _ => missing.push(format!("{} ({})", replica.replica, word(replica))),
        }
    }
    if missing.is_empty() {
        Ok(Progress::Reached)
    } else {
        Ok(Progress::Waiting(format!(
            "still waiting for {}",
            missing.join(", ")
        )))
    }
}

fn word(replica: &Replica) -> String {
    match &replica.state {
        State::Waiting { waits_for } => format!("waits for {}", waits_for.join(", ")),
        State::Starting => "starting".to_owned(),
        State::Ready => "ready".to_owned(),
        State::Unready { reason } => format!("unready: {reason}"),
        State::Draining | State::Stopping => "stopping".to_owned(),
        State::Completed => "completed".to_owned(),
        State::BackOff { .. } => "restarts".to_owned(),
        State::CrashLoop { .. } => "crash loop".to_owned(),
        State::Failed { reason } => format!("failed: {reason}"),
        State::Stopped => "stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_api::wire::App;

    use super::*;

    fn status(states: &[(&str, State)]) -> Status {
        let app = |(name, state): &(&str, State)| App {
            app: (*name).to_owned(),
            replicas: vec![Replica {
                replica: format!("{name}-1"),
                index: 1,
                state: state.clone(),
                since_unix_ms: 0,
                pid: None,
                port: None,
                restarts: 0,
                last_exit: None,
                cpu_seconds: 0.0,
                memory_bytes: 0,
                open_files: 0,
                processes: 0,
            }],
        };
        Status {
            stopping: false,
            apps: states.iter().map(app).collect(),
            targets: Vec::new(),
            edges: Vec::new(),
        }
    }

    #[test]
    fn says_who_is_missing() {
        let status = status(&[
            ("database", State::Ready),
            ("migrate", State::Completed),
            ("orders", State::Starting),
        ]);
        assert_eq!(
            judge(&status, &[], Goal::Ready).unwrap(),
            Progress::Waiting("still waiting for orders-1 (starting)".to_owned())
        );
        let only = ["database".to_owned(), "migrate".to_owned()];
        assert_eq!(judge(&status, &only, Goal::Ready).unwrap(), Progress::Reached);
        assert_eq!(
            judge(&status, &only, Goal::Completed).unwrap(),
            Progress::Waiting("still waiting for database-1 (ready)".to_owned())
        );
    }

    #[test]
    fn an_app_that_failed_for_good_ends_the_wait() {
        let reason = "no such command".to_owned();
        let status = status(&[("orders", State::Failed { reason })]);
        let failure = judge(&status, &[], Goal::Ready).unwrap_err();
        assert_eq!(failure.to_string(), "orders-1 has failed: no such command");
        assert_eq!(judge(&status, &[], Goal::Stopped).unwrap(), Progress::Reached);
    }
}
