//! The place where a measurement happens: a temporary folder and free ports.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::child::{Child, Core};

/// A temporary folder, removed at the end.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    /// A new one.
    pub(crate) fn new() -> Result<Self> {
        Self::in_folder(&std::env::temp_dir())
    }

    /// A new one in this folder. Servers that run as somebody else may look into it.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        if cores < 2 {
            bail!("the proxy and the load need a core each; this machine has one");
        }
        let dir = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .tempdir_in(folder)?;
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file; the folders on the way are made.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
        Ok(path)
    }

    /// Starts a program with its output in this folder.
    pub(crate) fn start(
        &self,
        name: &str,
        core: Core,
        words: &[&str],
        env: &[(&str, String)],
    ) -> Result<Child> {
        Child::start(name, self.path(), core, words, env)
    }
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
