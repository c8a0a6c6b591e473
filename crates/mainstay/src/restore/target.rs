//! The store that is restored into.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_backup::repository::Repository;
use mainstay_backup::{Checked, Report, Restored, is_empty};
use mainstay_store::embedded::Embedded;
use mainstay_store::postgres::{self, Postgres};
use rustix::fs::{CWD, RenameFlags};

use super::secrets;
use crate::backup::{Stopped, refused};
use crate::clock;
use crate::components::{self, STORE_FOLDER, StorePlan};
use crate::data_dir::{DataDir, Lease};
use crate::failure::Failure;

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
            StorePlan::Postgres(options) => format!("the schema {} of the database", options.schema.as_str()),
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

    /// Refuses a store that holds something, unless `force`. Changes nothing.
    pub(super) async fn refuse_data(&self, force: bool) -> Result<(), Failure> {
        if force {
            return Ok(());
        }
        if self.plan.exists_in(self.lease.path()) {
            let opened = self.plan.open(self.lease.path()).await;
            let store = opened.map_err(|failure| {
                Failure::refused(format!("{failure}; --force puts the backup in its place"))
            })?;
            if !is_empty(&*store).await.map_err(|error| refused(&error))? {
                return Err(Failure::refused(format!(
                    "{} holds data: --force puts the backup in their place, --to-dir restores into another data directory",
                    self.show()
                )));
            }
        }
        Ok(())
    }

    /// Puts everything into the store.
    pub(super) async fn restore(&self, checked: Checked, report: Report<'_>) -> Result<Restored, Failure> {
        secrets::put(&checked.files, &self.lease)?;
        match &self.plan {
            StorePlan::Embedded => self.fill_folder(checked, report).await,
            StorePlan::Postgres(options) => self.fill_database(options, checked, report).await,
        }
    }

    /// Makes a store beside the present one, and then exchanges them: what is there stays as it is until all of the backup is.
    async fn fill_folder(&self, checked: Checked, report: Report<'_>) -> Result<Restored, Failure> {
        let aside = self.lease.path().join(ASIDE);
        remove(&aside)?;
        let store = components::open_embedded(&aside).await?;
        let restored = checked.into_store(&*store, clock::unix_ms(), report).await;
        let restored = restored.map_err(|error| refused(&error));
        close(store).await?;
        match restored {
            Ok(restored) => {
                self.exchange(&aside)?;
                Ok(restored)
            }
            Err(failure) => {
                remove(&aside)?;
                Err(failure)
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
    async fn fill_database(
        &self,
        options: &postgres::Options,
        checked: Checked,
        report: Report<'_>,
    ) -> Result<Restored, Failure> {
        let unnoted =
            |error: io::Error| Failure::refused(format!("cannot write to the data directory: {error}"));
        self.lease.begin_restore().map_err(unnoted)?;
        let mut store = self.plan.open(self.lease.path()).await?;
        if !is_empty(&*store).await.map_err(|error| refused(&error))? {
            store
                .demote()
                .await
                .map_err(|error| Failure::refused(error.to_string()))?;
            drop(store);
            let removed = Postgres::destroy(options.clone()).await;
            removed.map_err(|error| Failure::refused(error.to_string()))?;
            store = self.plan.open(self.lease.path()).await?;
        }
        let restored = checked.into_store(&*store, clock::unix_ms(), report).await;
        let restored = restored.map_err(|error| refused(&error))?;
        self.lease.end_restore().map_err(unnoted)?;
        Ok(restored)
    }
}

/// Ends a store, so that its files can be moved.
async fn close(store: Arc<Embedded>) -> Result<(), Failure> {
    let closing = tokio::task::spawn_blocking(move || store.close());
    closing
        .await
        .map_err(|_| Failure::refused("the restored store cannot be closed"))
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
