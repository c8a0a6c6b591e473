//! Which running system a command means.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::data_dir::{Addresses, DEFAULT_NAME, DataDir};
use crate::failure::Failure;

/// Which running system is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Location {
    /// Folder of the manifest, or the manifest itself; by default the current folder or the nearest one above it where
    /// a system runs
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Data directory of the system, where `run` was given another than .mainstay beside the manifest
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "dir")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Location {
    /// The running system: its data directory and its addresses.
    pub(crate) fn find(&self) -> Result<(DataDir, Addresses), Failure> {
        let current = std::env::current_dir()
            .map_err(|error| Failure::refused(format!("cannot tell the current folder: {error}")))?;
        let candidates = self.candidates(&current);
        for dir in &candidates {
            let addresses = dir.addresses().map_err(|error| {
                Failure::refused(format!("cannot read {}: {error}", dir.path().display()))
            })?;
            if let Some(addresses) = addresses {
                return Ok((dir.clone(), addresses));
            }
        }
        let place = match candidates.as_slice() {
            [only] => format!("on the data directory {}", only.path().display()),
            _ => format!("in {} or a folder above it", current.display()),
        };
        Err(Failure::refused(format!(
            "no system runs {place}: start one with `mainstay run`, or say where it is with --dir or --data-dir"
        )))
    }

    fn candidates(&self, current: &Path) -> Vec<DataDir> {
        match (&self.data_dir, &self.dir) {
            (Some(data_dir), _) => vec![DataDir::new(data_dir)],
            // `run` takes the manifest itself too, and its data stands beside it.
            (None, Some(dir)) if dir.is_file() => vec![DataDir::new(dir.with_file_name(DEFAULT_NAME))],
            (None, Some(dir)) => vec![DataDir::new(dir.join(DEFAULT_NAME))],
            (None, None) => current
                .ancestors()
                .map(|folder| DataDir::new(folder.join(DEFAULT_NAME)))
                .collect(),
        }
    }
}
