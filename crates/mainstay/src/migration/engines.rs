//! The engines that stores lie on: how they are found, opened, and removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Reply;
use mainstay_migrate::{OpenProblem, OpenStore, Place, Stores};
use mainstay_store::embedded::{self, Embedded};
use mainstay_store::postgres::{self, Postgres};
use mainstay_store::{KeyRange, Replicated, Role, Scan, Store as _};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::reference;
use crate::components::{EMBEDDED, StorePlan};

/// The folder of the embedded store in the data directory.
pub(crate) const FOLDER: &str = "store";

/// How long the database of the manifest may take to be there: machines that start together are not ready together.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long until it is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Where a store is. That in the data directory is always found, whatever a variable says later.
pub(super) fn place(reference: &str, plan: &StorePlan) -> Place {
    let reference = match plan {
        StorePlan::Embedded => EMBEDDED,
        StorePlan::Postgres(_) => reference,
    };
    Place {
        reference: reference.to_owned(),
        location: plan.location(),
    }
}

/// The engines, as one system knows them.
pub(super) struct Engines {
    /// What the manifest says.
    pub(super) plan: StorePlan,
    /// Its name, which is that of the schema too.
    pub(super) system: String,
    pub(super) data_dir: PathBuf,
}

impl Stores for Engines {
    fn locate(&self, reference: &str) -> Result<Place, String> {
        let reference = reference::normal(reference)?;
        let location = self.plan(&reference)?.location();
        Ok(Place { reference, location })
    }

    fn open<'a>(&'a self, place: &'a Place) -> Reply<'a, Result<Arc<dyn OpenStore>, OpenProblem>> {
        Reply::waiting(async move {
            if place.location == self.plan.location() {
                return self.open_plan(&self.plan, PATIENCE).await;
            }
            let plan = self.plan(&place.reference).map_err(lasting)?;
            if plan.location() != place.location {
                return Err(lasting(format!(
                    "`{}` is {} now, and was {} when the migration began",
                    place.reference,
                    plan.location(),
                    place.location
                )));
            }
            self.open_plan(&plan, Duration::ZERO).await
        })
    }
}

impl Engines {
    fn plan(&self, reference: &str) -> Result<StorePlan, String> {
        let text = reference::resolve(reference, &|name| std::env::var(name).ok())?;
        StorePlan::read(&text, &self.system).map_err(|(message, help)| format!("{message}: {help}"))
    }

    async fn open_plan(
        &self,
        plan: &StorePlan,
        patience: Duration,
    ) -> Result<Arc<dyn OpenStore>, OpenProblem> {
        open_with(plan, self.data_dir.join(FOLDER), patience).await
    }
}

/// Opens a store; `folder` is that of an embedded one.
pub(super) async fn open(plan: &StorePlan, folder: PathBuf) -> Result<Arc<dyn OpenStore>, OpenProblem> {
    open_with(plan, folder, PATIENCE).await
}

async fn open_with(
    plan: &StorePlan,
    folder: PathBuf,
    patience: Duration,
) -> Result<Arc<dyn OpenStore>, OpenProblem> {
    match plan {
        StorePlan::Embedded => OpenEmbedded::open(folder).await,
        StorePlan::Postgres(options) => OpenPostgres::open(options, patience).await,
    }
}

/// The store in the data directory.
struct OpenEmbedded {
    store: Arc<Embedded>,
    path: PathBuf,
}

impl OpenEmbedded {
    async fn open(path: PathBuf) -> Result<Arc<dyn OpenStore>, OpenProblem> {
        let options = embedded::Options::new(&path);
        let opening = spawn_blocking(move || Embedded::open(&options)).await;
        let opened = opening.map_err(|_| lasting("the store could not be opened".to_owned()))?;
        let store = opened.map_err(|error| OpenProblem {
            message: error.to_string(),
            is_passing: matches!(
                error,
                embedded::OpenError::Locked(_) | embedded::OpenError::Io { .. }
            ),
        })?;
        Ok(Arc::new(Self {
            store: Arc::new(store),
            path,
        }))
    }

    async fn remove(&self) -> Result<(), String> {
        // After it was closed it can still be read, so this can be asked again.
        let role = self.store.role().await.map_err(|error| error.to_string())?;
        let page = self.store.scan(&Scan::new(KeyRange::all()).limit(1)).await;
        let is_empty = page.map_err(|error| error.to_string())?.entries.is_empty();
        if role == Role::Primary && !is_empty {
            return Err(format!("{} holds data, and is in use", self.path.display()));
        }
        self.close().await;
        let path = self.path.clone();
        let removed = spawn_blocking(move || remove_folder(&path)).await;
        let removed = removed.map_err(|error| error.to_string())?;
        removed.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

impl OpenStore for OpenEmbedded {
    fn store(&self) -> Arc<dyn Replicated> {
        Arc::clone(&self.store) as _
    }

    fn close(&self) -> Reply<'_, ()> {
        let store = Arc::clone(&self.store);
        Reply::waiting(async move {
            // It cannot fail; a runtime that ends closes the store as well.
            let _ = spawn_blocking(move || store.close()).await;
        })
    }

    fn destroy(&self) -> Reply<'_, Result<(), String>> {
        Reply::waiting(self.remove())
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A store in a database.
struct OpenPostgres {
    store: Arc<Postgres>,
    options: postgres::Options,
}

impl OpenPostgres {
    async fn open(
        options: &postgres::Options,
        patience: Duration,
    ) -> Result<Arc<dyn OpenStore>, OpenProblem> {
        let deadline = Instant::now() + patience;
        loop {
            match Postgres::open(options.clone()).await {
                Ok(store) => {
                    return Ok(Arc::new(Self {
                        store: Arc::new(store),
                        options: options.clone(),
                    }));
                }
                Err(postgres::OpenError::Unavailable(reason)) if Instant::now() < deadline => {
                    tracing::warn!("the database of the store is not there yet: {reason}");
                    sleep(RETRY_WAIT).await;
                }
                Err(error) => {
                    return Err(OpenProblem {
                        message: error.to_string(),
                        is_passing: matches!(error, postgres::OpenError::Unavailable(_)),
                    });
                }
            }
        }
    }
}

impl OpenStore for OpenPostgres {
    fn store(&self) -> Arc<dyn Replicated> {
        Arc::clone(&self.store) as _
    }

    /// Its connections go when nobody holds it any more.
    fn close(&self) -> Reply<'_, ()> {
        Reply::ready(())
    }

    fn destroy(&self) -> Reply<'_, Result<(), String>> {
        Reply::waiting(async {
            let destroyed = Postgres::destroy(self.options.clone()).await;
            destroyed.map_err(|error| error.to_string())
        })
    }
}

fn lasting(message: String) -> OpenProblem {
    OpenProblem {
        message,
        is_passing: false,
    }
}
