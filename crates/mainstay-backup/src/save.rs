//! Backing up: a source is written to a repository, read back, and only then given its name.

use bytes::Bytes;
use mainstay_store::Version;

use crate::container::{Verified, verify};
use crate::error::BackupError;
use crate::format::{Compression, File, Header, Kind, Lock, Record, Totals, Writer};
use crate::key::BackupKey;
use crate::progress::{Phase, Progress, Report};
use crate::repository::{Place, Upload};
use crate::wire::Source;

/// What goes into a backup beside the store.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the system.
    pub system: String,
    /// The version of Mainstay.
    pub mainstay: String,
    /// Now, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// The key; without one, nothing is encrypted.
    pub key: Option<BackupKey>,
    /// What the data need and is not in the store.
    pub files: Vec<File>,
}

impl Plan {
    /// How what is written can be read again.
    pub fn lock(&self) -> Lock {
        self.key.clone().map_or(Lock::Open, Lock::Key)
    }

    pub(crate) fn header(&self, kind: Kind, (after, at): (Version, Version)) -> Header {
        Header {
            kind,
            system: self.system.clone(),
            created_unix_ms: self.created_unix_ms,
            mainstay: self.mainstay.clone(),
            after,
            at,
            compression: Compression::Zstd,
            encryption: None,
        }
    }

    pub(crate) fn writer(&self, header: Header) -> Result<Writer, BackupError> {
        let key = match &self.key {
            None => None,
            Some(key) => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|error| BackupError::Machine(error.to_string()))?;
                Some((key, salt))
            }
        };
        Writer::new(header, key).map_err(BackupError::Unwritten)
    }
}

/// Writes everything that `source` gives to `place`, reads it back and checks it. When this fails, there is nothing under
/// that name; a process that ends meanwhile may leave a file that begins with `.`, or parts of an upload.
pub async fn save(
    source: impl Source,
    plan: &Plan,
    place: &Place,
    report: Report<'_>,
) -> Result<Verified, BackupError> {
    let mut upload = place.repository.create(&place.name).await?;
    let written = write(source, plan, upload.as_mut(), report).await;
    let totals = match written {
        Ok(totals) => totals,
        Err(error) => {
            upload.abort().await;
            return Err(error);
        }
    };
    let staged = Place {
        repository: place.repository.clone(),
        name: upload.complete().await?,
    };
    let checked = verify(&staged, &plan.lock(), Kind::Backup, report).await;
    let checked = checked.and_then(|verified| {
        let place = place.show();
        (verified.totals == totals)
            .then_some(verified)
            .ok_or(BackupError::NotWhatWasWritten { place })
    });
    let published = match checked {
        Ok(verified) => {
            let published = staged.repository.publish(&staged.name, &place.name).await;
            published.map(|()| verified).map_err(BackupError::from)
        }
        Err(error) => Err(error),
    };
    if published.is_err() {
        // It is told that there is no backup, which is what counts.
        let _ = staged.repository.remove(&staged.name).await;
    }
    published
}

async fn write(
    mut source: impl Source,
    plan: &Plan,
    upload: &mut dyn Upload,
    report: Report<'_>,
) -> Result<Totals, BackupError> {
    let header = plan.header(Kind::Backup, (Version::ZERO, source.at()));
    let mut writer = plan.writer(header)?;
    let mut progress = Progress::new(Phase::Writing);
    let files = plan.files.iter().cloned().map(Record::File).collect();
    let mut next = Some(files);
    while let Some(records) = next {
        for record in &records {
            writer.push(record).map_err(BackupError::Unwritten)?;
            progress.add(record);
        }
        drop(records);
        send(writer.take(), upload, &mut progress).await?;
        report(&progress);
        next = source.next().await?;
    }
    let (rest, totals) = writer.finish().map_err(BackupError::Unwritten)?;
    send(rest, upload, &mut progress).await?;
    Ok(totals)
}

async fn send(bytes: Vec<u8>, upload: &mut dyn Upload, progress: &mut Progress) -> Result<(), BackupError> {
    if !bytes.is_empty() {
        progress.container_bytes += bytes.len() as u64;
        upload.write(Bytes::from(bytes)).await?;
    }
    Ok(())
}

/// A segment of an archive, in memory.
pub(crate) fn segment(
    plan: &Plan,
    between: (Version, Version),
    commits: Vec<mainstay_store::Committed>,
) -> Result<Bytes, BackupError> {
    let mut writer = plan.writer(plan.header(Kind::Segment, between))?;
    for commit in commits {
        writer
            .push(&Record::Commit(commit))
            .map_err(BackupError::Unwritten)?;
    }
    let (bytes, _) = writer.finish().map_err(BackupError::Unwritten)?;
    Ok(bytes.into())
}
