//! `mainstay backup list`.

use std::io;
use std::sync::Arc;

use clap::Args as ClapArgs;
use mainstay_backup::archive::{Segment, segments};
use mainstay_backup::format::{Header, Kind};
use mainstay_backup::repository::{Object, Place, Repository};
use mainstay_backup::{BACKUP_SUFFIX, describe};
use mainstay_base::{rfc3339, rfc3339_millis};
use serde_json::json;

use super::{S3Args, refused};
use crate::client::value;
use crate::client::{print, print_json};
use crate::failure::{Failure, Outcome};
use crate::render::color::Palette;
use crate::render::size::size;
use crate::render::table::{Align, Cell, table};

/// List backups, and how far an archive reaches
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// Where they are: a folder, or s3://BUCKET/PREFIX
    #[arg(value_name = "PLACE")]
    place: String,
    #[command(flatten)]
    s3: S3Args,
    /// Print one JSON object per line
    #[arg(long)]
    pub(super) json: bool,
}

/// Lists; exit code 1 when there is nothing.
pub(super) async fn run(args: &Args) -> Outcome {
    let repository = args.s3.repository(&args.place)?;
    let objects = repository.list().await.map_err(|error| refused(&error.into()))?;
    let backups = backups(&repository, &objects).await;
    let segments = segments(&objects);
    if backups.is_empty() && segments.is_empty() {
        let place = repository.show("");
        return Err(Failure::refused(format!(
            "{place}: there are no backups, and there is no archive"
        )));
    }
    if args.json {
        for backup in &backups {
            print_json(&as_json(backup))?;
        }
        for stretch in stretches(&segments) {
            print_json(&json!({
                "archive_from": time(stretch.after),
                "archive_until": time(stretch.up_to),
            }))?;
        }
        return Ok(0);
    }
    let table = if backups.is_empty() {
        String::new()
    } else {
        backup_table(&backups)
    };
    let stretches = stretches(&segments);
    let archives = stretches.iter().map(|stretch| {
        let (from, until) = (time(stretch.after), time(stretch.up_to));
        format!("archive from {from} until {until}\n")
    });
    let text = table + &archives.collect::<String>();
    print(&text).map(|()| 0)
}

type Backup<'a> = (&'a Object, Result<Header, String>);

/// Backups with what they say about themselves.
async fn backups<'a>(repository: &Arc<dyn Repository>, objects: &'a [Object]) -> Vec<Backup<'a>> {
    let mut backups = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.name.ends_with(BACKUP_SUFFIX))
    {
        let place = Place {
            repository: repository.clone(),
            name: object.name.clone(),
        };
        let header = describe(&place).await.map_err(|error| error.to_string());
        backups.push((object, header.and_then(only_backups)));
    }
    backups
}

fn only_backups(header: Header) -> Result<Header, String> {
    match header.kind {
        Kind::Backup => Ok(header),
        Kind::Segment => Err(format!("this is {}", header.kind)),
    }
}

/// What an archive covers without a gap.
fn stretches(segments: &[Segment]) -> Vec<Segment> {
    let mut stretches: Vec<Segment> = Vec::new();
    for segment in segments {
        match stretches.last_mut() {
            Some(last) if segment.after <= last.up_to => last.up_to = last.up_to.max(segment.up_to),
            _ => stretches.push(*segment),
        }
    }
    stretches
}

fn time(version: mainstay_store::Version) -> String {
    rfc3339_millis(version.unix_ms())
}

fn as_json((object, header): &Backup<'_>) -> serde_json::Value {
    match header {
        Ok(header) => json!({
            "backup": object.name,
            "bytes": object.bytes,
            "system": header.system,
            "at": time(header.at),
            "version": header.at.to_string(),
            "created": rfc3339(header.created_unix_ms),
            "mainstay": header.mainstay,
            "encrypted_with": header.encryption.as_ref().map(|encryption| encryption.key.as_str()),
        }),
        Err(reason) => json!({"backup": object.name, "bytes": object.bytes, "error": reason}),
    }
}

fn backup_table(backups: &[Backup<'_>]) -> String {
    let heads = [
        ("BACKUP", Align::Left),
        ("SYSTEM", Align::Left),
        ("OF", Align::Left),
        ("SIZE", Align::Right),
        ("KEY", Align::Left),
    ];
    let row = |(object, header): &Backup<'_>| -> Vec<Cell> {
        let name = Cell::from(&object.name);
        let bytes = Cell::from(size(object.bytes));
        match header {
            Ok(header) => {
                let key = header
                    .encryption
                    .as_ref()
                    .map_or("none", |encryption| &encryption.key);
                // It comes from a file that anybody may have written.
                let (system, key) = (value::brief(&header.system), value::brief(key));
                vec![name, system.into(), time(header.at).into(), bytes, key.into()]
            }
            Err(reason) => vec![name, value::brief(reason).into(), "".into(), bytes, "".into()],
        }
    };
    let rows: Vec<Vec<Cell>> = backups.iter().map(row).collect();
    table(&heads, &rows, Palette::of(&io::stdout()))
}

#[cfg(test)]
mod tests {
    use mainstay_store::Version;

    use super::*;

    #[test]
    fn segments_that_follow_on_each_other_are_one_stretch() {
        let segment = |after, up_to| Segment {
            after: Version::from_u64(after),
            up_to: Version::from_u64(up_to),
        };
        let all = [segment(1, 5), segment(5, 9), segment(5, 7), segment(12, 13)];
        assert_eq!(stretches(&all), [segment(1, 9), segment(12, 13)]);
        assert_eq!(stretches(&[]), []);
    }
}
