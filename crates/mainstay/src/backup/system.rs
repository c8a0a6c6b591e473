//! The system that is backed up or restored: one that runs, or one that does not.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::client::{Control, Location};
use crate::data_dir::{DEFAULT_NAME, DataDir, Lease};
use crate::failure::Failure;
use crate::manifest::{self, Manifest};

/// Which system is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct SystemArgs {
    /// Folder of the manifest, or the manifest itself; the current folder by default
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Data directory of the system, where it is another than .mainstay beside the manifest
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A system that does not run, and cannot be started while this lives.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) manifest: Manifest,
    pub(crate) lease: Lease,
}

impl SystemArgs {
    /// The control API of the system and its data directory, if it runs.
    pub(super) fn running(&self) -> Result<Option<(Control, DataDir)>, Failure> {
        // The data directory says more than the folder.
        let location = match &self.data_dir {
            Some(_) => Location {
                dir: None,
                data_dir: self.data_dir.clone(),
            },
            None => Location {
                dir: self.dir.clone(),
                data_dir: None,
            },
        };
        match location.find() {
            Ok((dir, _)) => Ok(Some((Control::find(&location)?, dir))),
            Err(failure) if failure.code() == 1 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The system that does not run.
    pub(crate) fn stopped(&self) -> Result<Stopped, Failure> {
        let manifest = manifest::load(self.dir.as_deref().unwrap_or(Path::new(".")))?;
        let data_dir = self.data_dir.clone();
        let data_dir = DataDir::new(data_dir.unwrap_or_else(|| manifest.dir.join(DEFAULT_NAME)));
        let lease = data_dir.lease()?;
        Ok(Stopped { manifest, lease })
    }
}
