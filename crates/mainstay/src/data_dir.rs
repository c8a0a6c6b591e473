//! The data directory: where a running system keeps its secret, its lock and the addresses it chose.
//!
//! `run` owns it; every other command reads it to find the running system.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::secret;

/// The folder beside the manifest that is used unless `--data-dir` says otherwise.
pub(crate) const DEFAULT_NAME: &str = ".mainstay";

const TOKEN: &str = "token";
const LOCK: &str = "lock";
const NODE: &str = "node";
const ADDRESSES: &str = "addresses.json";

/// There while a restore is under way that leaves no whole store when it is interrupted.
const UNFINISHED_RESTORE: &str = "restore.unfinished";
/// Length of the name of a node: 64 bits in hexadecimal digits, which no two systems make alike.
const NODE_DIGITS: usize = 16;

/// Where a running system listens: written once everything is bound, removed when it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addresses {
    /// The process that listens.
    pub(crate) pid: u32,
    /// Name of the system.
    pub(crate) name: String,
    /// The control API.
    pub(crate) control: SocketAddr,
    /// The front door; absent when no app has a route.
    pub(crate) ingress: Option<SocketAddr>,
    /// The Dapr API of each app (HTTP and gRPC).
    pub(crate) apps: BTreeMap<String, SocketAddr>,
}

/// A data directory, whether anything runs or not.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

/// The right to run a system on a data directory; given back when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub(crate) struct Lease {
    dir: DataDir,
    // A POSIX record lock belongs to the process and ends with the first close of the file, so this stays the only
    // descriptor of it in this process.
    _lock: File,
}

impl DataDir {
    /// The data directory at `path`; nothing is read or made yet.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory where it is missing, for this user alone, and takes the right to run on it.
    ///
    /// One that exists is left as it is, but refused when other users can write to it: they could put a token there.
    pub(crate) fn lease(&self) -> Result<Lease, Failure> {
        let failed = |what: &str, error: &io::Error| {
            Failure::refused(format!(
                "cannot {what} the data directory {}: {error}",
                self.0.display()
            ))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| failed("make", &error))?;
        let mode = fs::metadata(&self.0)
            .map_err(|error| failed("read", &error))?
            .permissions()
            .mode();
        if mode & 0o022 != 0 {
            return Err(Failure::usage(format!(
                "other users can write to the data directory {0}: close it with `chmod 700 {0}`, or choose another \
                 with --data-dir",
                self.0.display()
            )));
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.0.join(LOCK))
            .map_err(|error| failed("lock", &error))?;
        match rustix::fs::fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lease {
                dir: self.clone(),
                _lock: lock,
            }),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                // The lock of another container has no process id here.
                let holder = lock_on(&lock).and_then(|found| found.pid).map_or_else(
                    || "another process".to_owned(),
                    |pid| format!("process {}", pid.as_raw_nonzero()),
                );
                Err(Failure::refused(format!(
                    "{holder} already runs on the data directory {}: stop it with `mainstay stop`, or give this one \
                     another with --data-dir",
                    self.0.display()
                )))
            }
            Err(error) => Err(failed("lock", &error.into())),
        }
    }

    /// Where the running system listens; `None` when none runs (what a killed one left behind does not count).
    pub(crate) fn addresses(&self) -> io::Result<Option<Addresses>> {
        let lock = match File::open(self.0.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if lock_on(&lock).is_none() {
            return Ok(None);
        }
        match fs::read(self.0.join(ADDRESSES)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The secret of the control API, as `run` made it.
    pub(crate) fn read_token(&self) -> io::Result<String> {
        let mut text = String::new();
        File::open(self.0.join(TOKEN))?.read_to_string(&mut text)?;
        let token = text.trim();
        if token.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the token file is empty",
            ));
        }
        Ok(token.to_owned())
    }
}

impl Lease {
    /// The secret of the control API: 256 random bits, made once and kept over restarts.
    pub(crate) fn token(&self) -> io::Result<String> {
        match self.dir.read_token() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = secret::random()?;
                self.replace(TOKEN, token.as_bytes())?;
                Ok(token)
            }
            result => result,
        }
    }

    /// The name of this system among those that share components: made once and kept over restarts.
    pub(crate) fn node(&self) -> io::Result<String> {
        match fs::read_to_string(self.dir.0.join(NODE)) {
            Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                let mut name = secret::random()?;
                name.truncate(NODE_DIGITS);
                self.replace(NODE, name.as_bytes())?;
                Ok(name)
            }
        }
    }

    /// Tells the other commands where to find this system.
    pub(crate) fn publish(&self, addresses: &Addresses) -> io::Result<()> {
        self.replace(ADDRESSES, &serde_json::to_vec_pretty(addresses)?)
    }

    /// Where this system keeps its data.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Notes that the store is not whole until [`Lease::end_restore`].
    pub(crate) fn begin_restore(&self) -> io::Result<()> {
        self.replace(UNFINISHED_RESTORE, b"")?;
        self.sync()
    }

    /// The store is whole.
    pub(crate) fn end_restore(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.0.join(UNFINISHED_RESTORE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync(),
        }
    }

    /// Refuses to run on what a restore left behind that was interrupted.
    pub(crate) fn refuse_unfinished(&self) -> Result<(), Failure> {
        if self.dir.0.join(UNFINISHED_RESTORE).exists() {
            return Err(Failure::refused(
                "a restore into the store was not finished: run it again, with --force",
            ));
        }
        Ok(())
    }

    /// Makes the names of files durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir.0)?.sync_all()
    }

    /// Replaces a file as a whole: a reader sees the old or the new one, never half of it.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = self.dir.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(draft, self.dir.0.join(name))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody listens there any more; a leftover would only be ignored, so a failure does not matter.
        let _ = fs::remove_file(self.dir.0.join(ADDRESSES));
    }
}

/// The lock that another process has on `file`, asked without taking it.
fn lock_on(file: &File) -> Option<Flock> {
    rustix::process::fcntl_getlk(file, &Flock::from(FlockType::WriteLock))
        .ok()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_secret_and_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(root.path().join("data"));
        let lease = dir.lease().expect("the lease");
        let token = lease.token().expect("a token");
        assert_eq!(token.len(), 64, "256 bits in hexadecimal digits");
        assert_eq!(lease.token().expect("the same token"), token);
        assert_eq!(dir.read_token().expect("the same token"), token);
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode(dir.path()), 0o700);
        assert_eq!(mode(&dir.path().join(TOKEN)), 0o600);
    }

    #[test]
    fn the_name_of_the_node_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let lease = DataDir::new(root.path()).lease().expect("the lease");
        let name = lease.node().expect("a name");
        assert_eq!(name.len(), NODE_DIGITS);
        assert_eq!(lease.node().expect("the same name"), name);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
        let failure = DataDir::new(root.path()).lease().expect_err("refused");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("chmod 700"), "{failure}");
    }

    #[test]
    fn addresses_vanish_with_the_lease() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(root.path());
        assert_eq!(dir.addresses().expect("readable"), None, "nothing ever ran");
        let lease = dir.lease().expect("the lease");
        lease
            .publish(&Addresses {
                pid: 1,
                name: "shop".to_owned(),
                control: ([127, 0, 0, 1], 4400).into(),
                ingress: None,
                apps: BTreeMap::new(),
            })
            .expect("published");
        assert!(root.path().join(ADDRESSES).exists());
        drop(lease);
        assert!(!root.path().join(ADDRESSES).exists());
        assert_eq!(dir.addresses().expect("readable"), None);
    }
}
