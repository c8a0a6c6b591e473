//! The key of backups: from a file, or from the environment.

use std::path::{Path, PathBuf};

use clap::Args;
use mainstay_backup::BackupKey;
use mainstay_backup::format::Lock;
use serde_json::json;

use crate::client::{print, print_json};
use crate::failure::{Failure, Outcome};

/// The variable that holds the key where no file is named.
const VARIABLE: &str = "MAINSTAY_BACKUP_KEY";

/// The key of a backup.
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgs {
    /// File with the key; MAINSTAY_BACKUP_KEY holds the key itself where no file is named
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Without a key: whoever can read the backup can read everything in it
    #[arg(long, conflicts_with = "key_file")]
    unencrypted: bool,
}

impl KeyArgs {
    /// The key to write with. That there is none has to be said.
    pub(crate) fn to_write(&self) -> Result<Option<BackupKey>, Failure> {
        let key = self.read()?;
        if key.is_none() && !self.unencrypted {
            return Err(Failure::usage(format!(
                "a backup is encrypted: name the file of its key with --key-file (`mainstay backup --new-key FILE` makes \
                 one), put the key into {VARIABLE}, or say --unencrypted"
            )));
        }
        Ok(key)
    }

    /// How to open what is read.
    pub(crate) fn to_read(&self) -> Result<Lock, Failure> {
        Ok(self.read()?.map_or(Lock::Open, Lock::Key))
    }

    fn read(&self) -> Result<Option<BackupKey>, Failure> {
        if self.unencrypted {
            return Ok(None);
        }
        let wrong = |error: mainstay_backup::InvalidKey| Failure::usage(error.to_string());
        if let Some(file) = &self.key_file {
            return BackupKey::from_file(file).map(Some).map_err(wrong);
        }
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => {
                let key = BackupKey::parse(&text);
                key.map(Some)
                    .map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))
            }
            _ => Ok(None),
        }
    }
}

/// `mainstay backup --new-key FILE`.
pub(super) fn make(file: &Path, json: bool) -> Outcome {
    let key = BackupKey::generate()
        .map_err(|error| Failure::refused(format!("there are no random numbers for a key: {error}")))?;
    key.write_new(file)
        .map_err(|error| Failure::refused(error.to_string()))?;
    if json {
        print_json(&json!({"file": file.display().to_string(), "key": key.id()}))?;
    } else {
        print(&format!(
            "the key {} is in {}. Keep a copy of it away from the backups: without it they cannot be restored\n",
            key.id(),
            file.display()
        ))?;
    }
    Ok(0)
}
