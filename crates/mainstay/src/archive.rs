//! The archive that a manifest declares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_backup::archive::{ARCHIVE_FOLLOWER, ArchiveMetrics, Archiver, ArchiverOptions};
use mainstay_backup::repository::Repository;
use mainstay_backup::{BackupKey, PresentStore};
use mainstay_store::{FollowerName, SystemWallClock};

use crate::failure::Failure;

/// An archive that can be begun.
#[derive(Clone, Debug)]
pub(crate) struct ArchivePlan {
    /// Where.
    pub(crate) to: Arc<dyn Repository>,
    /// How often changes are archived.
    pub(crate) every: Duration,
    /// How long they are kept.
    pub(crate) keep: Option<Duration>,
    /// What they are encrypted with.
    pub(crate) key: ArchiveKey,
}

/// What an archive is encrypted with.
#[derive(Clone, Debug)]
pub(crate) enum ArchiveKey {
    /// Nothing.
    None,
    /// This.
    Key(BackupKey),
    /// What is in this file.
    File(PathBuf),
}

/// Begins the archive of the present store; without a plan, nothing is kept for one any more.
pub(crate) async fn start(
    plan: Option<&ArchivePlan>,
    system: &str,
    present: Arc<PresentStore>,
    metrics: Arc<ArchiveMetrics>,
) -> Result<Option<Archiver>, Failure> {
    let failed = |reason: String| Failure::refused(format!("the archive cannot begin: {reason}"));
    let Some(plan) = plan else {
        let name = FollowerName::new(ARCHIVE_FOLLOWER).map_err(|error| failed(error.to_string()))?;
        let forgotten = present().unfollow(&name).await;
        return forgotten
            .map(|()| None)
            .map_err(|error| failed(error.to_string()));
    };
    let key = match &plan.key {
        ArchiveKey::None => None,
        ArchiveKey::Key(key) => Some(key.clone()),
        ArchiveKey::File(path) => {
            let key = BackupKey::from_file(path);
            Some(key.map_err(|error| Failure::usage(format!("`archive.key_file`: {error}")))?)
        }
    };
    let options = ArchiverOptions {
        to: Arc::clone(&plan.to),
        every: plan.every,
        keep: plan.keep,
        system: system.to_owned(),
        mainstay: env!("CARGO_PKG_VERSION").to_owned(),
        key,
    };
    let archiver = Archiver::start(options, present, metrics, Arc::new(SystemWallClock)).await;
    archiver.map(Some).map_err(|error| failed(error.to_string()))
}
