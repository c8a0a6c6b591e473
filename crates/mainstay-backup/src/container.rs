//! A container of a repository, opened.

use crate::error::BackupError;
use crate::format::{FormatError, Header, Item, Kind, Lock, Reader, Totals, peek};
use crate::progress::{Phase, Progress, Report};
use crate::repository::{Download, Place};

/// Reads a container item by item; nothing of it is given that was not proved to be what was written.
pub(crate) struct Container {
    place: String,
    download: Box<dyn Download>,
    reader: Option<Reader>,
    bytes: u64,
}

impl Container {
    /// Opens the container at `place` and reads its header.
    pub(crate) async fn open(place: &Place, lock: &Lock, kind: Kind) -> Result<(Self, Header), BackupError> {
        let mut container = Self {
            place: place.show(),
            download: place.open().await?,
            reader: Some(Reader::new(lock.clone()).wanting(kind)),
            bytes: 0,
        };
        match container.next().await? {
            Some(Item::Header(header)) => Ok((container, header)),
            // A reader gives the header first.
            _ => Err(container.wrong(FormatError::NotABackup)),
        }
    }

    /// What comes next; `None` when all of it has come and was whole.
    pub(crate) async fn next(&mut self) -> Result<Option<Item>, BackupError> {
        loop {
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            match reader.pull() {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(error) => return Err(self.wrong(error)),
            }
            if let Some(bytes) = self.download.next().await? {
                self.bytes += bytes.len() as u64;
                reader.push(&bytes);
            } else {
                let finished = self.reader.take().map_or(Ok(Totals::default()), Reader::finish);
                return finished.map(|_| None).map_err(|error| self.wrong(error));
            }
        }
    }

    /// Bytes that were read so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn wrong(&self, error: FormatError) -> BackupError {
        let place = self.place.clone();
        BackupError::Format { place, error }
    }
}

/// A container that was read to its end and is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says about itself.
    pub header: Header,
    /// What it holds.
    pub totals: Totals,
    /// Its size.
    pub container_bytes: u64,
}

/// Reads a container to its end and checks all of it.
pub async fn verify(
    place: &Place,
    lock: &Lock,
    kind: Kind,
    report: Report<'_>,
) -> Result<Verified, BackupError> {
    let (mut container, header) = Container::open(place, lock, kind).await?;
    let mut progress = Progress::new(Phase::Verifying);
    let mut totals = Totals::default();
    while let Some(item) = container.next().await? {
        match item {
            Item::Header(_) => {}
            Item::Record(record) => {
                progress.add(&record);
                progress.container_bytes = container.bytes();
                report(&progress);
            }
            Item::Totals(found) => totals = found,
        }
    }
    Ok(Verified {
        header,
        totals,
        container_bytes: container.bytes(),
    })
}

/// What a container says about itself. Needs no key, and proves nothing.
pub async fn describe(place: &Place) -> Result<Header, BackupError> {
    let wrong = |error| BackupError::Format {
        place: place.show(),
        error,
    };
    let mut download = place.open().await?;
    let mut begun = Vec::new();
    loop {
        if let Some(header) = peek(&begun).map_err(wrong)? {
            return Ok(header);
        }
        let Some(bytes) = download.next().await? else {
            let bytes = begun.len() as u64;
            return Err(wrong(FormatError::Truncated { bytes }));
        };
        begun.extend_from_slice(&bytes);
    }
}
