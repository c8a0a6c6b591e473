//! Restoring: everything is verified before anything is touched, and a store is a primary only when all of it is there.

use std::sync::Arc;

use mainstay_store::limits::MAX_PAGE_BYTES;
use mainstay_store::{Committed, KeyRange, Portion, Replicated, Role, Scan, Version};

use crate::archive::{Chain, Segment, chain, segments};
use crate::container::{Container, Verified};
use crate::error::BackupError;
use crate::format::{File, Header, Item, Kind, Lock, Record, Totals};
use crate::progress::{Phase, Progress, Report};
use crate::repository::{Place, Repository};

/// How much is copied or applied at once.
const PORTION_BYTES: usize = MAX_PAGE_BYTES / 2;

/// Most commits that are applied at once.
const PORTION_COMMITS: usize = 1_000;

/// What an object costs beside its keys and values, roughly: many small ones must not fill the memory.
const RECORD_BYTES: usize = 64;

/// What is restored.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The backup.
    pub backup: Place,
    /// The archive from which later changes are taken, if they are.
    pub archive: Option<Arc<dyn Repository>>,
    /// The last moment whose changes are wanted; all there are when absent. Means nothing without an archive.
    pub until: Option<Version>,
    /// How both are opened.
    pub lock: Lock,
}

/// A restore all of whose parts were found whole.
#[derive(Clone, Debug)]
pub struct Checked {
    restore: Restore,
    /// The backup.
    pub backup: Verified,
    /// Files that it holds.
    pub files: Vec<File>,
    segments: Vec<(Segment, Totals)>,
    /// Up to where the archive leads; at least the moment of the backup.
    pub reaches: Version,
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Keys of the backup.
    pub entries: u64,
    /// Commits of the archive.
    pub commits: u64,
    /// Bytes of keys and values.
    pub content_bytes: u64,
    /// The last commit that is in the store.
    pub last: Version,
}

impl Restore {
    /// Reads the backup and all segments that are needed, and checks that they are whole and follow on each other.
    pub async fn check(self, report: Report<'_>) -> Result<Checked, BackupError> {
        let mut progress = Progress::new(Phase::Verifying);
        let (mut container, header) = Container::open(&self.backup, &self.lock, Kind::Backup).await?;
        if let Some(until) = self.until.filter(|until| header.at > *until) {
            let (place, at) = (self.backup.show(), header.at);
            return Err(BackupError::Later { place, at, until });
        }
        let mut files = Vec::new();
        let mut totals = Totals::default();
        while let Some(item) = container.next().await? {
            match item {
                Item::Record(Record::File(file)) => files.push(file),
                Item::Record(record) => {
                    progress.add(&record);
                    progress.container_bytes = container.bytes();
                    report(&progress);
                }
                Item::Totals(found) => totals = found,
                Item::Header(_) => {}
            }
        }
        let container_bytes = container.bytes();
        let chain = self.chain(&header).await?;
        let mut checked = Vec::with_capacity(chain.segments.len());
        for segment in chain.segments {
            checked.push((segment, self.check_segment(segment, &mut progress, report).await?));
        }
        Ok(Checked {
            restore: self,
            backup: Verified {
                header,
                totals,
                container_bytes,
            },
            files,
            segments: checked,
            reaches: chain.reaches,
        })
    }

    async fn chain(&self, header: &Header) -> Result<Chain, BackupError> {
        let Some(archive) = &self.archive else {
            let (segments, reaches) = (Vec::new(), header.at);
            return Ok(Chain { segments, reaches });
        };
        let known = segments(&archive.list().await?);
        let to = self.until.unwrap_or(Version::from_u64(u64::MAX));
        chain(&known, header.at, to).map_err(|broken| {
            let place = archive.show("");
            BackupError::Broken { place, broken }
        })
    }

    async fn check_segment(
        &self,
        segment: Segment,
        progress: &mut Progress,
        report: Report<'_>,
    ) -> Result<Totals, BackupError> {
        let mut container = self.open_segment(segment).await?;
        let mut totals = Totals::default();
        while let Some(item) = container.next().await? {
            match item {
                Item::Record(record) => {
                    progress.add(&record);
                    report(progress);
                }
                Item::Totals(found) => totals = found,
                Item::Header(_) => {}
            }
        }
        Ok(totals)
    }

    /// Opens a segment, whose header has to say what its name says.
    async fn open_segment(&self, segment: Segment) -> Result<Container, BackupError> {
        let place = self.segment(segment)?;
        let (container, header) = Container::open(&place, &self.lock, Kind::Segment).await?;
        if (header.after, header.at) == (segment.after, segment.up_to) {
            Ok(container)
        } else {
            let place = place.show();
            Err(BackupError::NotWhatWasWritten { place })
        }
    }

    fn segment(&self, segment: Segment) -> Result<Place, BackupError> {
        let repository = self.archive.clone();
        let repository = repository.ok_or_else(|| BackupError::Machine("there is no archive".to_owned()))?;
        let name = segment.to_string();
        Ok(Place { repository, name })
    }
}

/// Whether a store holds nothing.
pub async fn is_empty(store: &dyn Replicated) -> Result<bool, BackupError> {
    let first = Scan::new(KeyRange::all()).limit(1);
    Ok(store.scan(&first).await?.entries.is_empty())
}

impl Checked {
    /// Puts everything into `store`, which has to be empty. Until this is answered well, the store is a replica, which
    /// nothing runs on; it can be emptied and restored into again.
    ///
    /// Later commits of it come after `now_unix_ms` and so after everything that the store it is a copy of did meanwhile: an
    /// archive of both tells them apart by their versions.
    pub async fn into_store(
        self,
        store: &dyn Replicated,
        now_unix_ms: u64,
        report: Report<'_>,
    ) -> Result<Restored, BackupError> {
        if !is_empty(store).await? {
            return Err(BackupError::NotEmpty);
        }
        for follower in store.followers().await? {
            store.unfollow(&follower.name).await?;
        }
        if store.role().await? == Role::Primary {
            store.demote().await?;
        }
        let mut work = Work {
            store,
            report,
            progress: Progress::new(Phase::Restoring),
            portion: Portion::default(),
            commits: Vec::new(),
            waiting_bytes: 0,
            last: self.backup.header.at,
            until: self.restore.until.unwrap_or(Version::from_u64(u64::MAX)),
        };
        let (container, header) =
            Container::open(&self.restore.backup, &self.restore.lock, Kind::Backup).await?;
        let place = || self.restore.backup.show();
        if header != self.backup.header {
            return Err(BackupError::Changed { place: place() });
        }
        work.read(container, self.backup.totals, place).await?;
        work.progress.phase = Phase::Replaying;
        for (segment, totals) in &self.segments {
            let container = self.restore.open_segment(*segment).await?;
            work.read(container, *totals, || segment.to_string()).await?;
        }
        let last = work.last;
        store.promote(last.max(Version::at_unix_ms(now_unix_ms))).await?;
        Ok(Restored {
            entries: work.progress.entries,
            commits: work.progress.commits,
            content_bytes: work.progress.content_bytes,
            last,
        })
    }
}

struct Work<'a> {
    store: &'a dyn Replicated,
    report: Report<'a>,
    progress: Progress,
    portion: Portion,
    commits: Vec<Committed>,
    /// What the two above hold.
    waiting_bytes: usize,
    /// The last commit so far.
    last: Version,
    until: Version,
}

impl Work<'_> {
    /// Reads a container into the store. It has to hold what it held when it was verified.
    async fn read(
        &mut self,
        mut container: Container,
        expected: Totals,
        place: impl Fn() -> String,
    ) -> Result<(), BackupError> {
        while let Some(item) = container.next().await? {
            match item {
                Item::Record(record) => self.record(record, container.bytes()).await?,
                Item::Totals(totals) if totals != expected => {
                    let place = place();
                    return Err(BackupError::Changed { place });
                }
                Item::Totals(_) | Item::Header(_) => {}
            }
        }
        self.flush().await
    }

    async fn record(&mut self, record: Record, container_bytes: u64) -> Result<(), BackupError> {
        let bytes = match &record {
            Record::Entry(entry) => entry.key.as_ref().len() + entry.value.as_ref().len(),
            Record::Token(token, _) => token.as_bytes().len(),
            Record::Commit(commit) => commit.size_bytes(),
            _ => 0,
        };
        if self.waiting_bytes + bytes > PORTION_BYTES || self.commits.len() >= PORTION_COMMITS {
            self.flush().await?;
        }
        match record {
            // What the backup shows already, or what is not wanted.
            Record::Commit(commit) if commit.version <= self.last || commit.version > self.until => {
                return Ok(());
            }
            Record::Commit(commit) => {
                self.progress.add(&Record::Commit(commit.clone()));
                self.last = commit.version;
                self.commits.push(commit);
            }
            Record::Entry(entry) => {
                self.progress.entries += 1;
                self.progress.content_bytes += bytes as u64;
                self.portion.entries.push(entry);
            }
            Record::Token(token, version) => self.portion.tokens.push((token, version)),
            _ => {}
        }
        self.waiting_bytes += bytes + RECORD_BYTES;
        self.progress.container_bytes = container_bytes;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), BackupError> {
        self.waiting_bytes = 0;
        let portion = std::mem::take(&mut self.portion);
        if !portion.entries.is_empty() || !portion.tokens.is_empty() {
            self.store.copy(portion).await?;
        }
        let commits = std::mem::take(&mut self.commits);
        if !commits.is_empty() {
            self.store.apply(&commits).await?;
        }
        (self.report)(&self.progress);
        Ok(())
    }
}
