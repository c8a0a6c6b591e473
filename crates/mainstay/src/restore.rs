//! `mainstay restore`: a system's data come back from a backup, as they were then or at a later moment.

mod moment;
mod secrets;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use mainstay_backup::repository::Repository;
use mainstay_backup::{Checked, Restore, Restored};
use mainstay_base::rfc3339_millis;
use mainstay_store::Version;
use serde_json::json;

use self::moment::Moment;
use self::target::Target;
use crate::backup::{KeyArgs, Meter, S3Args, SystemArgs, refused};
use crate::client::{print, print_json};
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::render::size::size;

/// Restore a backup into the store that the manifest names, while the system does not run
///
/// The whole backup is verified before anything is touched. With an archive, all changes since the backup come back as well,
/// or those up to a moment.
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// The backup: a file, or s3://BUCKET/KEY. Of a folder, or a key that ends with /, the latest that is not later than
    /// --until
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Restore into an embedded store in this data directory, whatever the manifest says: for a rehearsal
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dir", "data_dir"])]
    to_dir: Option<PathBuf>,
    /// Replace what the store holds
    #[arg(long)]
    force: bool,
    /// Where the archive of changes is: a folder, or s3://BUCKET/PREFIX; with --until, that of the manifest when absent
    #[arg(long, value_name = "PLACE")]
    archive: Option<String>,
    /// The last moment that comes back: 2026-01-31T12:00:00Z, or a time ago like 10m
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Moment>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    system: SystemArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Restores.
pub(crate) async fn run(args: &Args) -> Outcome {
    let lock = args.keys.to_read()?;
    let until = args.until.map(|until| until.version(clock::unix_ms()));
    args.s3.parts(&args.source)?;
    let target = match &args.to_dir {
        Some(folder) => Target::folder(folder)?,
        None => Target::of_manifest(args.system.stopped()?),
    };
    let archive = archive(args, &target)?;
    target.refuse_data(args.force).await?;
    let restore = Restore {
        backup: args.s3.backup(&args.source, until).await?,
        archive,
        until,
        lock,
    };
    let meter = Meter::new(args.json);
    let report = |progress: &mainstay_backup::Progress| meter.report(progress);
    let place = restore.backup.show();
    let checked = restore.check(&report).await.map_err(|error| refused(&error))?;
    let ending = Ending::of(&checked, until, place);
    let restored = target.restore(checked, &report).await?;
    meter.end();
    ending.tell(args.json, &restored, &target).map(|()| 0)
}

/// Where later changes come from.
fn archive(args: &Args, target: &Target) -> Result<Option<Arc<dyn Repository>>, Failure> {
    match (&args.archive, args.until) {
        (Some(place), _) => args.s3.repository(place).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let declared = target.archive();
            declared.map(Some).ok_or_else(|| {
                Failure::usage(
                    "--until needs the archive of changes: say where it is with --archive, or declare `archive` in the \
                     manifest",
                )
            })
        }
    }
}

/// What is told at the end.
struct Ending {
    place: String,
    system: String,
    /// Up to where the archive leads, where it ends before the moment that was asked for.
    short: Option<Version>,
}

impl Ending {
    fn of(checked: &Checked, until: Option<Version>, place: String) -> Self {
        Self {
            place,
            system: checked.backup.header.system.clone(),
            short: until
                .filter(|until| checked.reaches < *until)
                .map(|_| checked.reaches),
        }
    }

    fn tell(&self, json: bool, restored: &Restored, target: &Target) -> Result<(), Failure> {
        let time = |version: Version| rfc3339_millis(version.unix_ms());
        let last = time(restored.last);
        if json {
            return print_json(&json!({
                "backup": self.place,
                "system": self.system,
                "to": target.show(),
                "until": last,
                "version": restored.last.to_string(),
                "keys": restored.entries,
                "commits": restored.commits,
                "content_bytes": restored.content_bytes,
                "archive_ends": self.short.map(time),
                "replaced": target.replaced(),
            }));
        }
        let later = match restored.commits {
            0 => String::new(),
            commits => format!(" and {commits} later commits"),
        };
        let (keys, bytes) = (restored.entries, size(restored.content_bytes));
        let mut lines = vec![format!(
            "{}: restored {keys} keys ({bytes}){later} into {}; the last change is of {last}\n",
            self.system,
            target.show()
        )];
        lines.extend(self.short.map(|short| {
            format!(
                "the archive ends at {}: nothing later is in it, whether or not there was something\n",
                time(short)
            )
        }));
        lines.extend(target.replaced().map(|replaced| {
            format!("what was there before is in {replaced}: delete it when it is not needed\n")
        }));
        print(&lines.concat())
    }
}
