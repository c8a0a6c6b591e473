//! Making a backup.

use std::io;
use std::path::Path;

use mainstay_backup::format::{File, MAX_FILE_BYTES};
use mainstay_backup::repository::Place;
use mainstay_backup::{BackupKey, Export, Plan, Source, Verified, backup_name, save};
use mainstay_base::{rfc3339, rfc3339_millis};
use serde_json::json;

use super::remote::Remote;
use super::{Args, Meter, refused};
use crate::client::{print, print_json};
use crate::clock;
use crate::components::{SECRETS_KEY_FILE, StorePlan};
use crate::failure::{Failure, Outcome};
use crate::migration::{self, STORE_FOLDER};
use crate::render::size::size;

/// Backs the system up to `target`.
pub(super) async fn run(args: &Args, target: &str) -> Outcome {
    // What is wrong on the command line is told before anything is asked for.
    let key = args.keys.to_write()?;
    args.s3.parts(target)?;
    if let Some((control, data_dir)) = args.system.running()? {
        let system = control.system().await?.name;
        let source = Remote::open(&control).await?;
        return Work {
            args,
            target,
            key,
            system,
        }
        .save(source, data_dir.path())
        .await;
    }
    let stopped = args.system.stopped()?;
    let data_dir = stopped.lease.path().to_owned();
    if matches!(stopped.manifest.store, StorePlan::Embedded) && !data_dir.join(STORE_FOLDER).exists() {
        return Err(Failure::refused(format!(
            "there is no store in the data directory {}: the system has never run",
            data_dir.display()
        )));
    }
    let (switch, _) = migration::start(&stopped.manifest, &data_dir).await?;
    let source = Export::begin(switch.present()).await;
    let source = source.map_err(|error| refused(&error.into()))?;
    let system = stopped.manifest.name.clone();
    Work {
        args,
        target,
        key,
        system,
    }
    .save(source, &data_dir)
    .await
}

struct Work<'a> {
    args: &'a Args,
    target: &'a str,
    key: Option<BackupKey>,
    system: String,
}

impl Work<'_> {
    async fn save(self, source: impl Source, data_dir: &Path) -> Outcome {
        let now_unix_ms = clock::unix_ms();
        let place = self
            .args
            .s3
            .place(self.target, || backup_name(&self.system, now_unix_ms))?;
        let secrets = secrets_key(data_dir)?;
        let has_secrets = secrets.is_some();
        let plan = Plan {
            system: self.system,
            mainstay: env!("CARGO_PKG_VERSION").to_owned(),
            created_unix_ms: now_unix_ms,
            files: if self.key.is_some() {
                secrets.into_iter().collect()
            } else {
                Vec::new()
            },
            key: self.key,
        };
        let meter = Meter::new(self.args.json);
        let saved = save(source, &plan, &place, &|progress| meter.report(progress)).await;
        meter.end();
        let verified = saved.map_err(|error| refused(&error))?;
        if self.args.json {
            return print_json(&as_json(&verified, &place, &plan)).map(|()| 0);
        }
        let mut text = told(&verified, &place);
        if has_secrets && plan.files.is_empty() {
            text.push_str(
                "the key of its secrets is not in it, because it is not encrypted: keep a copy of secrets.key in the data \
                 directory\n",
            );
        }
        if !has_secrets {
            text.push_str(
                "the data directory holds no key of secrets: one that lies elsewhere has to be kept apart\n",
            );
        }
        print(&text).map(|()| 0)
    }
}

/// The key that seals secrets, where the data directory has it: without it, the secrets in the store are lost.
fn secrets_key(data_dir: &Path) -> Result<Option<File>, Failure> {
    let path = data_dir.join(SECRETS_KEY_FILE);
    match std::fs::read(&path) {
        Ok(content) if content.len() <= MAX_FILE_BYTES => Ok(Some(File {
            name: SECRETS_KEY_FILE.to_owned(),
            content: content.into(),
        })),
        Ok(_) => Err(Failure::refused(format!(
            "{} is too large for a key",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::refused(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

fn told(verified: &Verified, place: &Place) -> String {
    let header = &verified.header;
    let sealed = header.encryption.as_ref().map_or_else(
        || "not encrypted".to_owned(),
        |encryption| format!("encrypted with the key {}", encryption.key),
    );
    format!(
        "{}: {} keys ({}) as of {}, read back and verified\n{} ({}, {sealed})\n",
        header.system,
        verified.totals.entries,
        size(verified.totals.content_bytes),
        rfc3339_millis(header.at.unix_ms()),
        place.show(),
        size(verified.container_bytes),
    )
}

/// A verified backup in JSON.
pub(super) fn as_json(verified: &Verified, place: &Place, plan: &Plan) -> serde_json::Value {
    let Verified {
        header,
        totals,
        container_bytes,
    } = verified;
    json!({
        "backup": place.show(),
        "system": header.system,
        "at": rfc3339_millis(header.at.unix_ms()),
        "version": header.at.to_string(),
        "created": rfc3339(header.created_unix_ms),
        "keys": totals.entries,
        "content_bytes": totals.content_bytes,
        "bytes": container_bytes,
        "encrypted_with": header.encryption.as_ref().map(|encryption| encryption.key.as_str()),
        "files": plan.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        "verified": true,
    })
}
