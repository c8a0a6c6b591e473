//! The migration of a running system, through its control API, or of one that does not run, on its stores.

use http::Method;
use mainstay_api::wire::{Migration, MigrationBegin};
use mainstay_migrate::{Handle, Refusal, Running, Status, Wish};

use crate::client::{Control, Location};
use crate::data_dir::{DEFAULT_NAME, DataDir, Lease};
use crate::failure::Failure;
use crate::{manifest, migration};

/// Whom to ask.
pub(super) enum Access {
    /// A system runs.
    Running(Control),
    /// None runs, so this process does it.
    Offline(Box<Offline>),
}

/// The service in this process.
pub(super) struct Offline {
    handle: Handle,
    running: Running,
    // Last: while it is held, no system starts.
    _lease: Lease,
}

const PATH: &str = "/api/migration";

impl Access {
    /// Finds the running system, or opens the stores of one that does not run.
    pub(super) async fn find(location: &Location) -> Result<Self, Failure> {
        match Control::find(location) {
            Ok(control) => Ok(Self::Running(control)),
            Err(none_runs) => Ok(Self::Offline(Box::new(open(location, none_runs).await?))),
        }
    }

    pub(super) async fn status(&self) -> Result<Option<Status>, Failure> {
        match self {
            Self::Running(control) => {
                let Migration { migration } = control.get(PATH).await?;
                Ok(migration)
            }
            Self::Offline(offline) => Ok(offline.handle.status()),
        }
    }

    pub(super) async fn begin(&self, begin: &MigrationBegin) -> Result<(), Failure> {
        match self {
            Self::Running(control) => {
                let body = serde_json::to_vec(begin).map_err(|error| Failure::usage(error.to_string()))?;
                control.send(Method::POST, PATH, body).await
            }
            Self::Offline(offline) => {
                let begun = offline.handle.begin(&begin.to, begin.from.as_deref()).await;
                begun.map_err(|refusal| failure(&refusal))
            }
        }
    }

    pub(super) async fn wish(&self, wish: Wish) -> Result<(), Failure> {
        match self {
            Self::Running(control) => {
                let path = format!("{PATH}/{wish}");
                control.send(Method::POST, &path, Vec::new()).await
            }
            Self::Offline(offline) => {
                let accepted = offline.handle.wish(wish).await;
                accepted.map_err(|refusal| failure(&refusal))
            }
        }
    }

    /// Whether it goes on when this command ends.
    pub(super) const fn goes_on(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// What is said to a user who has seen enough.
    pub(super) const fn farewell(&self) -> &'static str {
        match self {
            Self::Running(_) => "it goes on in the running system: see `mainstay migrate status`\n",
            Self::Offline(_) => {
                "stopped: it goes on where it was with the same command, or when the system is started\n"
            }
        }
    }

    pub(super) async fn close(self) {
        if let Self::Offline(offline) = self {
            offline.running.stop().await;
        }
    }
}

async fn open(location: &Location, none_runs: Failure) -> Result<Offline, Failure> {
    let folder = location.dir.as_deref().unwrap_or(std::path::Path::new("."));
    let manifest = match manifest::load(folder) {
        Ok(manifest) => manifest,
        // Neither a system nor a manifest: the former is what was looked for.
        Err(_) if location.dir.is_none() && !folder.join(manifest::FILE_NAMES[0]).exists() => {
            return Err(none_runs);
        }
        Err(mistakes) => return Err(mistakes.into()),
    };
    let data_dir = location.data_dir.clone();
    let lease = DataDir::new(data_dir.unwrap_or_else(|| manifest.dir.join(DEFAULT_NAME))).lease()?;
    let (_, service) = migration::start(&manifest, lease.path()).await?;
    let (handle, running) = service.spawn();
    Ok(Offline {
        handle,
        running,
        _lease: lease,
    })
}

fn failure(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::Reference(message) => Failure::usage(message.clone()),
        other => Failure::refused(other.to_string()),
    }
}
