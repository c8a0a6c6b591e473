//! The store that is restored into.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_backup::repository::Repository;
use mainstay_backup::{Checked, Report, Restored, is_empty};
use rustix::fs::{CWD, RenameFlags};

use super::secrets;
use crate::backup::{Stopped, refused};
use crate::clock;
use crate::components::StorePlan;
use crate::data_dir::{DataDir, Lease};
use crate::failure::Failure;
use crate::migration::{self, STORE_FOLDER};

/// Where an embedded store is made, beside the one that it takes the place of when it is whole.
const ASIDE: &str = "store.restoring";

/// Where the one that was there is kept.
const REPLACED: &str = "store.replaced";

/// A store that is restored into. Nobody else can run on it while this lives.
pub(super) struct Target {
    plan: StorePlan,
    lease: Lease,
    archive: Option<Arc<dyn Repository>>,
    replaced: Mutex<Option<PathBuf>>,
}

impl Target {
    /// An embedded store in a data directory, which is made where it is missing.
    pub(super) fn folder(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            plan: StorePlan::Embedded,
            lease: DataDir::new(folder).lease()?,
            archive: None,
            replaced: Mutex::new(None),
        })
    }

    /// The store that a manifest names.
    pub(super) fn of_manifest(stopped: Stopped) -> Self {
        let manifest = stopped.manifest;
        Self {
            plan: manifest.store,
            lease: stopped.lease,
            archive: manifest.archive.map(|archive| archive.to),
            replaced: Mutex::new(None),
        }
    }

    /// The archive that the manifest declares.
    pub(super) fn archive(&self) -> Option<Arc<dyn Repository>> {
        self.archive.clone()
    }

    /// Where it is, for people.
    pub(super) fn show(&self) -> String {
        match &self.plan {
            StorePlan::Embedded => self.folder_of_store().display().to_string(),
            StorePlan::Postgres(_) => self.plan.location(),
        }
    }

    /// Where what it replaced is kept, if it is.
    pub(super) fn replaced(&self) -> Option<String> {
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.as_ref().map(|path| path.display().to_string())
    }

    fn folder_of_store(&self) -> PathBuf {
        self.lease.path().join(STORE_FOLDER)
    }

    /// Refuses a store that is being moved, and, unless `force`, one that holds something. Changes nothing.
    pub(super) async fn refuse_data(&self, force: bool) -> Result<(), Failure> {
        migration::refuse_under_way(self.lease.path()).await?;
        let folder = self.folder_of_store();
        if force || (matches!(self.plan, StorePlan::Embedded) && !folder.exists()) {
            return Ok(());
        }
        let opened = migration::open_alone(&self.plan, &folder).await;
        let store = opened.map_err(|failure| {
            Failure::refused(format!("{failure}; --force puts the backup in its place"))
        })?;
        let holds_nothing = is_empty(&*store.store()).await;
        store.close().await;
        if holds_nothing.map_err(|error| refused(&error))? {
            return Ok(());
        }
        Err(Failure::refused(format!(
            "{} holds data: --force puts the backup in their place, --to-dir restores into another data directory",
            self.show()
        )))
    }

    /// Puts everything into the store.
    pub(super) async fn restore(&self, checked: Checked, report: Report<'_>) -> Result<Restored, Failure> {
        secrets::put(&checked.files, &self.lease)?;
        match &self.plan {
            StorePlan::Embedded => self.fill_folder(checked, report).await,
            StorePlan::Postgres(_) => self.fill_database(checked, report).await,
        }
    }

    /// Makes a store beside the present one, and then exchanges them: what is there stays as it is until all of the backup is.
    async fn fill_folder(&self, checked: Checked, report: Report<'_>) -> Result<Restored, Failure> {
        let aside = self.lease.path().join(ASIDE);
        remove(&aside)?;
        let store = migration::open_alone(&self.plan, &aside).await?;
        let restored = checked
            .into_store(&*store.store(), clock::unix_ms(), report)
            .await;
        store.close().await;
        match restored {
            Ok(restored) => {
                self.exchange(&aside)?;
                Ok(restored)
            }
            Err(error) => {
                remove(&aside)?;
                Err(refused(&error))
            }
        }
    }

    fn exchange(&self, aside: &Path) -> Result<(), Failure> {
        let store = self.folder_of_store();
        let failed = |error: io::Error| {
            Failure::refused(format!(
                "the restored store cannot take the place of {}: {error}. Move that away and restore again",
                store.display()
            ))
        };
        if store.exists() {
            rustix::fs::renameat_with(CWD, aside, CWD, &store, RenameFlags::EXCHANGE)
                .map_err(|error| failed(error.into()))?;
            let replaced = self.lease.path().join(REPLACED);
            remove(&replaced)?;
            fs::rename(aside, &replaced).map_err(failed)?;
            *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = Some(replaced);
        } else {
            fs::rename(aside, &store).map_err(failed)?;
        }
        let synced = File::open(self.lease.path()).and_then(|folder| folder.sync_all());
        synced.map_err(failed)?;
        self.lease.end_restore().map_err(failed)
    }

    /// Removes what the schema holds, and fills it. A note in the data directory, and the store's own role, keep anybody from
    /// taking it for good in between.
    async fn fill_database(&self, checked: Checked, report: Report<'_>) -> Result<Restored, Failure> {
        let unnoted =
            |error: io::Error| Failure::refused(format!("cannot write to the data directory: {error}"));
        let open = || migration::open_alone(&self.plan, Path::new(""));
        self.lease.begin_restore().map_err(unnoted)?;
        let mut store = open().await?;
        if !is_empty(&*store.store()).await.map_err(|error| refused(&error))? {
            let demoted = store.store().demote().await;
            demoted.map_err(|error| Failure::refused(error.to_string()))?;
            store.destroy().await.map_err(Failure::refused)?;
            store = open().await?;
        }
        let restored = checked
            .into_store(&*store.store(), clock::unix_ms(), report)
            .await;
        let restored = restored.map_err(|error| refused(&error))?;
        self.lease.end_restore().map_err(unnoted)?;
        Ok(restored)
    }
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::refused(format!(
            "cannot remove {}: {error}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}
