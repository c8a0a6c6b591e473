//! `mainstay migrate`.

mod access;
mod show;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use mainstay_api::wire::MigrationBegin;
use mainstay_migrate::{Phase, Status, Wish};
use serde_json::json;

use self::access::Access;
use self::show::Screen;
use crate::client::{Location, print, print_json};
use crate::failure::{Failure, Outcome};

/// How often the migration is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Move what is stored to another store, while it is in use
///
/// Copies everything to an empty store, follows what changes, and compares both. Nothing changes for apps until `mainstay
/// migrate cut-over`, which takes a moment; after it the old store follows the new one, so that `back-out` loses nothing
/// until `finish`. Works on a running system, and on one that does not run.
#[derive(Clone, Debug, ClapArgs)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to: `embedded`, the name of a variable with the URL of a database (as `DATABASE_URL`), `file:PATH` of a file
    /// with it, or a URL without a password
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// How the present store is found again, where the manifest spells out its password; written like `--to`
    #[arg(long, value_name = "STORE", requires = "to")]
    from: Option<String>,
    /// Return as soon as it has begun
    #[arg(long, requires = "to")]
    no_wait: bool,
    #[command(flatten)]
    location: Location,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Show how the migration is
    Status,
    /// Compare the copy with the store once more
    Verify,
    /// Let the new store take over, and the old one follow it
    CutOver,
    /// Go back to the old store, and remove the copy
    BackOut,
    /// Let go of the old store: there is no way back then
    Finish,
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    if args.command.is_some() && args.to.is_some() {
        let message = "--to begins a migration, and goes with none of `status`, `verify`, `cut-over`, `back-out`, `finish`";
        return Err(Failure::usage(message));
    }
    if args.command.is_none() && args.to.is_none() {
        return Err(Failure::usage(
            "say where to with --to, or see `mainstay migrate --help`",
        ));
    }
    let access = Access::find(&args.location).await?;
    let asked = Asked {
        screen: Screen::new(args.json, io::stdout().is_terminal()),
        access,
        args,
    };
    let outcome = match (args.command, &args.to) {
        (Some(Command::Status), _) => asked.status().await,
        (Some(Command::Verify), _) => asked.wish(Wish::Verify).await,
        (Some(Command::CutOver), _) => asked.wish(Wish::CutOver).await,
        (Some(Command::BackOut), _) => asked.wish(Wish::BackOut).await,
        (Some(Command::Finish), _) => asked.wish(Wish::Finish).await,
        (None, to) => asked.begin(to.as_deref().unwrap_or_default()).await,
    };
    asked.access.close().await;
    outcome
}

struct Asked<'a> {
    args: &'a Args,
    access: Access,
    screen: Screen,
}

impl Asked<'_> {
    async fn status(&self) -> Outcome {
        match self.access.status().await? {
            None if self.args.json => print_json(&json!({"phase": null}))?,
            None => print("nothing is being migrated\n")?,
            Some(status) if self.args.json => print_json(&status)?,
            Some(status) => print(&show::status(&status))?,
        }
        Ok(0)
    }

    async fn begin(&self, to: &str) -> Outcome {
        let begin = MigrationBegin {
            to: absolute(to)?,
            from: self.args.from.as_deref().map(absolute).transpose()?,
        };
        // One that is under way already is only watched.
        let before = self.access.status().await?;
        let is_under_way = before.is_some_and(|status| !status.is_over && names(&begin.to, &status));
        if !is_under_way {
            self.access.begin(&begin).await?;
        }
        if self.args.no_wait && self.access.goes_on() {
            return self.end(
                &json!({"state": "begun"}),
                "begun: see `mainstay migrate status`\n",
            );
        }
        let status = self.until(|status| status.phase >= Phase::Ready).await?;
        let Some(status) = status else {
            return Ok(0);
        };
        self.done(&status, status.phase == Phase::Ready)
    }

    async fn wish(&self, wish: Wish) -> Outcome {
        self.access.wish(wish).await?;
        let is_done = |status: &Status| match wish {
            Wish::Verify => status.verified_ranges.is_some(),
            Wish::CutOver => status.phase == Phase::FollowingBack,
            Wish::BackOut => status.phase == Phase::BackedOut,
            Wish::Finish => status.phase == Phase::Finished,
        };
        let Some(status) = self.until(is_done).await? else {
            return Ok(0);
        };
        self.done(&status, is_done(&status))
    }

    /// Shows how it goes until it has come to something: what is waited for, its end, or a problem that stays. `None` when
    /// the user has seen enough.
    async fn until(&self, is_done: impl Fn(&Status) -> bool) -> Result<Option<Status>, Failure> {
        loop {
            let status =
                self.access.status().await?.ok_or_else(|| {
                    Failure::refused("the migration is gone: was the data directory changed?")
                })?;
            let has_failed = status.problem.as_ref().is_some_and(|problem| !problem.is_retried);
            self.screen.show(&status)?;
            if is_done(&status) || has_failed || status.is_over {
                self.screen.end()?;
                return Ok(Some(status));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.map_err(|error| Failure::refused(error.to_string()))?;
                    self.screen.end()?;
                    if !self.args.json {
                        print(self.access.farewell())?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Says what it came to, and what can be done next.
    fn done(&self, status: &Status, is_good: bool) -> Outcome {
        if !is_good {
            let problem = status.problem.as_ref().map(|problem| problem.message.clone());
            return Err(Failure::refused(problem.unwrap_or_else(|| {
                format!("it came to another end: {}", show::phase(status.phase))
            })));
        }
        if self.args.json {
            return Ok(0);
        }
        print(&show::next(status))?;
        Ok(0)
    }

    fn end(&self, value: &serde_json::Value, text: &str) -> Outcome {
        if self.args.json {
            print_json(value)?;
        } else {
            print(text)?;
        }
        Ok(0)
    }
}

/// Whether a migration goes to the store that is asked for.
fn names(to: &str, status: &Status) -> bool {
    let known = &status.target_reference;
    known == to || *known == format!("${{{to}}}")
}

/// The running system may be in another folder.
fn absolute(reference: &str) -> Result<String, Failure> {
    let Some(path) = reference.strip_prefix("file:") else {
        return Ok(reference.to_owned());
    };
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("`{path}` is not a path: {error}")))?;
    Ok(format!("file:{}", path.display()))
}
