//! `mainstay backup verify`.

use std::sync::Arc;

use clap::Args as ClapArgs;
use mainstay_backup::archive::{Segment, chain, segments};
use mainstay_backup::format::{Kind, Lock};
use mainstay_backup::repository::{Place, Repository};
use mainstay_backup::{BACKUP_SUFFIX, BackupError, Verified, verify};
use mainstay_base::rfc3339_millis;
use mainstay_store::Version;
use serde_json::json;

use super::{KeyArgs, Meter, S3Args, refused};
use crate::client::{print, print_json};
use crate::failure::{Failure, Outcome};
use crate::render::size::size;

/// Read backups to their end and check every part of them
///
/// Of a folder: all backups and all segments of an archive in it, and whether these follow on each other. Exit code 1 when
/// anything is not as it was written.
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// What: a backup, or where many are: a file, a folder, s3://BUCKET/KEY, s3://BUCKET/PREFIX/
    #[arg(value_name = "PLACE")]
    place: String,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    s3: S3Args,
    /// Print one JSON object per line
    #[arg(long)]
    pub(super) json: bool,
}

/// Verifies.
pub(super) async fn run(args: &Args) -> Outcome {
    let lock = args.keys.to_read()?;
    let (repository, name) = args.s3.parts(&args.place)?;
    let work = Work {
        json: args.json,
        lock,
        meter: Meter::new(args.json),
        repository,
    };
    if let Some(name) = name {
        let kind = if Segment::parse(&name).is_some() {
            Kind::Segment
        } else {
            Kind::Backup
        };
        let found = work.one(&name, kind).await.map_err(|error| refused(&error))?;
        work.tell(&name, &Ok(found))?;
        return Ok(0);
    }
    work.all().await
}

struct Work {
    json: bool,
    lock: Lock,
    meter: Meter,
    repository: Arc<dyn Repository>,
}

impl Work {
    async fn one(&self, name: &str, kind: Kind) -> Result<Verified, BackupError> {
        let place = Place {
            repository: self.repository.clone(),
            name: name.to_owned(),
        };
        let found = verify(&place, &self.lock, kind, &|progress| self.meter.report(progress)).await;
        self.meter.end();
        found
    }

    async fn all(&self) -> Outcome {
        let objects = self
            .repository
            .list()
            .await
            .map_err(|error| refused(&error.into()))?;
        let known = segments(&objects);
        let backups = objects
            .iter()
            .filter(|object| object.name.ends_with(BACKUP_SUFFIX));
        let backups = backups.map(|object| (object.name.clone(), Kind::Backup));
        let all: Vec<_> = backups
            .chain(known.iter().map(|segment| (segment.to_string(), Kind::Segment)))
            .collect();
        if all.is_empty() {
            let place = self.repository.show("");
            return Err(Failure::refused(format!(
                "{place}: there are no backups, and there is no archive"
            )));
        }
        let mut is_good = true;
        for (name, kind) in all {
            let found = self.one(&name, kind).await;
            is_good &= found.is_ok();
            self.tell(&name, &found)?;
        }
        if let Some(first) = known.first()
            && let Err(broken) = chain(&known, first.after, Version::from_u64(u64::MAX))
        {
            is_good = false;
            let place = self.repository.show("");
            let error = BackupError::Broken { place, broken };
            if self.json {
                print_json(
                    &json!({"archive": self.repository.show(""), "verified": false, "error": error.to_string()}),
                )?;
            } else {
                print(&format!("{error}\n"))?;
            }
        }
        Ok(u8::from(!is_good))
    }

    fn tell(&self, name: &str, found: &Result<Verified, BackupError>) -> Result<(), Failure> {
        let place = self.repository.show(name);
        if self.json {
            return print_json(&match found {
                Ok(Verified {
                    header,
                    totals,
                    container_bytes,
                }) => json!({
                    "backup": place,
                    "verified": true,
                    "system": header.system,
                    "at": rfc3339_millis(header.at.unix_ms()),
                    "version": header.at.to_string(),
                    "keys": totals.entries,
                    "commits": totals.commits,
                    "content_bytes": totals.content_bytes,
                    "bytes": container_bytes,
                    "encrypted_with": header.encryption.as_ref().map(|encryption| encryption.key.as_str()),
                }),
                Err(error) => json!({"backup": place, "verified": false, "error": error.to_string()}),
            });
        }
        print(&match found {
            Ok(Verified { header, totals, .. }) => format!(
                "{place}: whole: {} {} ({}) of {}, as of {}\n",
                totals.entries + totals.commits,
                if header.kind == Kind::Backup {
                    "keys"
                } else {
                    "commits"
                },
                size(totals.content_bytes),
                header.system,
                rfc3339_millis(header.at.unix_ms()),
            ),
            Err(error) => format!("{error}\n"),
        })
    }
}
