//! The task that follows a store and archives what it does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::rfc3339_millis;
use mainstay_store::{Committed, FollowError, FollowerName, Replicated, Version, WallClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::chain::{Segment, segments};
use super::metrics::ArchiveMetrics;
use super::retention::expired;
use crate::error::BackupError;
use crate::exports::PresentStore;
use crate::key::BackupKey;
use crate::repository::Repository;
use crate::save::{self, Plan};

/// As whom an archive follows the store.
pub const ARCHIVE_FOLLOWER: &str = "archive";

/// How many bytes of changes one segment holds, roughly: it is made in memory.
const SEGMENT_BYTES: usize = 16 * 1_024 * 1_024;

/// How often old segments are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);

/// The longest wait after a failure, unless `every` is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long stopping waits for what is on its way.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How an archive is kept.
#[derive(Clone, Debug)]
pub struct ArchiverOptions {
    /// Where.
    pub to: Arc<dyn Repository>,
    /// How often changes are archived, when there are any.
    pub every: Duration,
    /// How long segments are kept; for ever when absent.
    pub keep: Option<Duration>,
    /// The name of the system.
    pub system: String,
    /// The version of Mainstay.
    pub mainstay: String,
    /// The key; without one, nothing is encrypted.
    pub key: Option<BackupKey>,
}

/// Archives the changes of a store until it is stopped or dropped.
#[derive(Debug)]
pub struct Archiver {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Archiver {
    /// Begins to follow the `present` store before it answers, so that no later change is missed, and archives in the
    /// background. An archive that cannot be reached is tried again and again, while the store goes on. When another store
    /// takes the place of the present one, that is followed from then on, and changes in between are missed.
    pub async fn start(
        options: ArchiverOptions,
        present: Arc<PresentStore>,
        metrics: Arc<ArchiveMetrics>,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, BackupError> {
        let name = FollowerName::new(ARCHIVE_FOLLOWER);
        let mut work = Work {
            name: name.map_err(|error| BackupError::Machine(error.to_string()))?,
            options,
            store: present(),
            present,
            metrics,
            clock,
            place: Version::ZERO,
            is_checked: false,
            swept: None,
        };
        work.follow().await?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(work.run(stopped));
        Ok(Self { stop, task })
    }

    /// Archives what was changed up to now, if the archive can be reached, and ends. The next start goes on from there.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            tracing::warn!("the last changes were not archived; that is done after the next start");
        }
    }
}

impl Drop for Archiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    name: FollowerName,
    options: ArchiverOptions,
    present: Arc<PresentStore>,
    /// The one that is followed.
    store: Arc<dyn Replicated>,
    metrics: Arc<ArchiveMetrics>,
    clock: Arc<dyn WallClock>,
    /// Everything up to here is archived.
    place: Version,
    /// Whether the archive was looked at, and this goes on with it.
    is_checked: bool,
    /// When old segments were last looked for.
    swept: Option<Instant>,
}

/// Changes that were read and not archived yet.
struct Collected {
    commits: Vec<Committed>,
    up_to: Version,
    has_more: bool,
}

impl Work {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut failures: u32 = 0;
        loop {
            // Changes up to here are archived before it ends.
            let is_last = *stopped.borrow_and_update();
            let wait = match self.round().await {
                Ok(has_more) => {
                    if std::mem::take(&mut failures) > 0 {
                        tracing::warn!("the archive is reached again");
                    }
                    if has_more {
                        Duration::ZERO
                    } else {
                        self.options.every
                    }
                }
                Err(error) => {
                    self.metrics.failures.increment();
                    failures = failures.saturating_add(1);
                    // Said once, not for as long as it lasts.
                    if failures == 1 {
                        tracing::error!(
                            "changes are not archived now, and it is tried again; the store keeps them meanwhile, within \
                             its limit: {error}"
                        );
                    }
                    self.after_failure(failures)
                }
            };
            if failures == 0 && !is_last {
                self.sweep().await;
            }
            if is_last && (failures > 0 || wait > Duration::ZERO) {
                return;
            }
            // A sender that is gone means the same as a stop.
            let _ = tokio::time::timeout(wait, stopped.wait_for(|stop| *stop)).await;
        }
    }

    fn after_failure(&self, failures: u32) -> Duration {
        let first = self.options.every.max(Duration::from_millis(500));
        let wait = first.saturating_mul(1 << failures.min(7));
        wait.min(LONGEST_WAIT.max(self.options.every))
    }

    /// Begins to follow, or goes on. A follower that was dropped has missed changes.
    async fn follow(&mut self) -> Result<(), BackupError> {
        self.place = match self.store.follow(&self.name).await {
            Err(FollowError::Lost(_)) => {
                self.metrics.gaps.increment();
                tracing::error!(
                    "the archive was so far behind that the store had to go on without it: changes are missing in it. Make a \
                     backup now, from which later moments can be restored"
                );
                // The gap is known now.
                self.is_checked = true;
                self.store.unfollow(&self.name).await?;
                self.store.follow(&self.name).await?
            }
            followed => followed?,
        };
        self.metrics.reached(self.place);
        Ok(())
    }

    /// Archives one segment, if there is something for it. Gives whether there is more already.
    async fn round(&mut self) -> Result<bool, BackupError> {
        let present = (self.present)();
        if !Arc::ptr_eq(&present, &self.store) {
            self.store = present;
            self.is_checked = false;
            self.follow().await?;
        }
        if !self.is_checked {
            self.check().await?;
            self.is_checked = true;
        }
        let collected = match self.collect().await {
            Err(FollowError::Lost(_)) => {
                self.follow().await?;
                return Ok(true);
            }
            // Somebody else removed the follower.
            Err(FollowError::Unknown(_)) => {
                self.is_checked = false;
                self.follow().await?;
                return Ok(true);
            }
            collected => collected?,
        };
        if let Some(first) = collected.commits.first() {
            let followers = self.store.followers().await?;
            let kept_bytes = followers
                .iter()
                .find(|one| one.name == self.name)
                .map(|one| one.kept_bytes);
            self.metrics
                .waiting(first.version, kept_bytes.unwrap_or_default());
            self.put(collected.commits, collected.up_to).await?;
            self.store.confirm(&self.name, collected.up_to).await?;
            // Only what a segment covers counts: the next one begins where this one ends.
            self.place = collected.up_to;
            self.metrics.reached(self.place);
        }
        if !collected.has_more {
            self.metrics.waiting(Version::ZERO, 0);
        }
        Ok(collected.has_more)
    }

    async fn collect(&self) -> Result<Collected, FollowError> {
        let mut collected = Collected {
            commits: Vec::new(),
            up_to: self.place,
            has_more: true,
        };
        let mut bytes = 0;
        while collected.has_more && bytes < SEGMENT_BYTES {
            let changes = self.store.changes(&self.name, collected.up_to).await?;
            bytes += changes.commits.iter().map(Committed::size_bytes).sum::<usize>();
            collected.has_more = changes.has_more;
            collected.up_to = changes.up_to;
            collected.commits.extend(changes.commits);
        }
        Ok(collected)
    }

    async fn put(&self, commits: Vec<Committed>, up_to: Version) -> Result<(), BackupError> {
        let after = self.place;
        let plan = Plan {
            system: self.options.system.clone(),
            mainstay: self.options.mainstay.clone(),
            created_unix_ms: self.clock.unix_ms(),
            key: self.options.key.clone(),
            files: Vec::new(),
        };
        // Compressing and encrypting keeps a thread busy for a while.
        let making = tokio::task::spawn_blocking(move || save::segment(&plan, (after, up_to), commits));
        let content = making
            .await
            .map_err(|error| BackupError::Machine(error.to_string()))??;
        let bytes = content.len() as u64;
        let name = Segment { after, up_to }.to_string();
        self.options.to.put(&name, content).await?;
        self.metrics.segments.increment();
        self.metrics.bytes.add(bytes);
        Ok(())
    }

    /// Finds out whether this goes on where the archive ends.
    async fn check(&self) -> Result<(), BackupError> {
        self.options.to.clean().await?;
        let known = segments(&self.options.to.list().await?);
        let Some(end) = known.iter().map(|segment| segment.up_to).max() else {
            return Ok(());
        };
        let time = |version: Version| rfc3339_millis(version.unix_ms());
        // The same changes may have been archived before and not confirmed: then some segment begins here.
        if end > self.place && !known.iter().any(|segment| segment.after == self.place) {
            return Err(BackupError::Machine(format!(
                "{} is the archive of another store, or of another past of this one: it goes up to {}, and this store goes on \
                 after {}. Give it a place of its own, and make a backup",
                self.options.to.show(""),
                time(end),
                time(self.place),
            )));
        }
        if end < self.place {
            self.metrics.gaps.increment();
            tracing::warn!(
                "the archive ends at {} and begins anew at {}: make a backup now, from which later moments can be restored",
                time(end),
                time(self.place),
            );
        }
        Ok(())
    }

    /// Removes what is older than it has to be, now and then.
    async fn sweep(&mut self) {
        let Some(keep) = self.options.keep else { return };
        if self.swept.is_some_and(|last| last.elapsed() < RETENTION_INTERVAL) {
            return;
        }
        self.swept = Some(Instant::now());
        let removed = async {
            let known = segments(&self.options.to.list().await?);
            for segment in expired(&known, self.clock.unix_ms(), keep) {
                self.options.to.remove(&segment.to_string()).await?;
            }
            Ok::<_, BackupError>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!("old segments of the archive could not be removed: {error}");
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Work")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
