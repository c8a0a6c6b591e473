//! The archive of the store's changes.

use std::time::Duration;

use mainstay_backup::BackupKey;
use mainstay_backup::repository::{S3Options, repository};

use super::{Builder, file, interpolate};
use crate::archive::{ArchiveKey, ArchivePlan};
use crate::diagnostic::{Code, Diagnostic};

/// How often changes are archived where nothing is said.
const EVERY: Duration = Duration::from_secs(10);

impl Builder<'_> {
    pub(super) fn archive(&mut self) -> Option<ArchivePlan> {
        let archive = self.parsed.file.archive.as_ref()?;
        let to = self.archive_text("to", &archive.to);
        let key = self.archive_key(archive);
        let endpoint = self.optional_text("s3_endpoint", archive.s3_endpoint.as_deref())?;
        let region = self.optional_text("s3_region", archive.s3_region.as_deref())?;
        let (to, key) = (to?, key?);
        let mut s3 = S3Options::from_environment(self.environment);
        s3.endpoint = endpoint.or(s3.endpoint);
        s3.region = region.or(s3.region);
        let is_bucket = to.contains("://");
        let place = if is_bucket {
            to
        } else {
            self.dir.join(to).to_string_lossy().into_owned()
        };
        match repository(&place, &s3) {
            Ok(to) => Some(ArchivePlan {
                to,
                every: archive.every.as_ref().map_or(EVERY, |every| every.0),
                keep: archive.keep.as_ref().map(|keep| keep.0),
                key,
            }),
            Err(error) => {
                self.archive_mistake(
                    Code::OUT_OF_RANGE,
                    "to",
                    error.to_string(),
                    "write a folder, or s3://bucket/prefix",
                );
                None
            }
        }
    }

    fn archive_key(&mut self, archive: &file::Archive) -> Option<ArchiveKey> {
        match (&archive.key, &archive.key_file, archive.unencrypted) {
            (Some(key), None, false) => {
                let key = self.archive_text("key", key)?;
                match BackupKey::parse(&key) {
                    Ok(key) => Some(ArchiveKey::Key(key)),
                    Err(error) => {
                        let help = "keep it out of the file: key: ${MAINSTAY_BACKUP_KEY}";
                        self.archive_mistake(Code::WRONG_FORM, "key", error.to_string(), help);
                        None
                    }
                }
            }
            (None, Some(path), false) => {
                let path = self.archive_text("key_file", path)?;
                Some(ArchiveKey::File(self.dir.join(path)))
            }
            (None, None, true) => Some(ArchiveKey::None),
            (None, None, false) => {
                let message = "the archive has no key".to_owned();
                let help = "name its file with `key_file` (`mainstay backup --new-key FILE` makes one), or write \
                            `unencrypted: true`";
                self.archive_mistake(Code::CONTRADICTION, "", message, help);
                None
            }
            _ => {
                let message = "the archive is told in several ways how it is encrypted".to_owned();
                let help = "keep one of `key`, `key_file` and `unencrypted: true`";
                self.archive_mistake(Code::CONTRADICTION, "", message, help);
                None
            }
        }
    }

    /// `None` when there is a mistake in it.
    #[expect(clippy::option_option, reason = "a text that is not there is no mistake")]
    fn optional_text(&mut self, key: &str, text: Option<&str>) -> Option<Option<String>> {
        match text {
            None => Some(None),
            Some(text) => self.archive_text(key, text).map(Some),
        }
    }

    fn archive_text(&mut self, key: &str, text: &str) -> Option<String> {
        match interpolate(text, self.environment) {
            Ok(text) => Some(text),
            Err(problem) => {
                let help = "set it in the environment of Mainstay";
                self.archive_mistake(Code::UNDEFINED_VARIABLE, key, problem.to_string(), help);
                None
            }
        }
    }

    fn archive_mistake(&mut self, code: Code, key: &str, message: String, help: &str) {
        let place = match key {
            "" => self.place(&["archive"]),
            key => self.place(&["archive", key]),
        };
        self.diagnostics
            .push(Diagnostic::error(code, place, message).help(help));
    }
}
