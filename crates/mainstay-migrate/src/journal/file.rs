//! The journal in a file of the data directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mainstay_base::Reply;

use super::{Journal, JournalError, Record};

/// A file that is replaced as a whole.
#[derive(Clone, Debug)]
pub struct JournalFile(PathBuf);

impl JournalFile {
    /// The file at `path`; nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}

impl Journal for JournalFile {
    fn load(&self) -> Reply<'_, Result<Option<Record>, JournalError>> {
        Reply::ready(match fs::read(&self.0) {
            Ok(text) => Record::decode(&text, &self.name()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(JournalError::Io(self.name(), error)),
        })
    }

    fn save<'a>(&'a self, record: &'a Record) -> Reply<'a, Result<(), JournalError>> {
        Reply::waiting(async move {
            let failed = |error| JournalError::Io(self.name(), error);
            let text = record.encode().map_err(|error| failed(error.into()))?;
            let path = self.0.clone();
            // Once begun, it is done to its end, whoever waits.
            let writing = tokio::task::spawn_blocking(move || replace(&path, text.as_bytes()));
            let written = writing.await.map_err(|error| failed(io::Error::other(error)))?;
            written.map_err(failed)
        })
    }
}

/// Writes it beside the old one, makes it durable, and puts it in its place.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::record;
    use crate::stage::Stage;

    #[tokio::test]
    async fn it_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let journal = JournalFile::new(folder.path().join("migration"));
        assert_eq!(journal.load().await.unwrap(), None);
        for stage in [Stage::Preparing, Stage::Moved] {
            let record = record(stage);
            journal.save(&record).await.unwrap();
            assert_eq!(journal.load().await.unwrap(), Some(record));
        }
        fs::write(folder.path().join("migration.new"), "half").unwrap();
        assert!(
            journal.load().await.unwrap().is_some(),
            "what was not finished does not count"
        );
        fs::write(folder.path().join("migration"), "half").unwrap();
        let error = journal.load().await.unwrap_err();
        assert!(matches!(error, JournalError::Damaged(_)), "{error}");
        assert!(
            JournalFile::new(folder.path().join("no/where"))
                .save(&record(Stage::Moved))
                .await
                .is_err()
        );
    }
}
