//! The file under the log as a port, so that tests can let the disk fail.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Makes log files.
pub(in crate::embedded) trait Medium: Send + fmt::Debug {
    /// A new file with this head, durable together with its name.
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>>;
}

/// A file that only grows, except where a write failed.
pub(in crate::embedded) trait LogFile: Send + fmt::Debug {
    /// Adds all of `bytes` to the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was added durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes back what was added after the first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug)]
pub(in crate::embedded) struct Disk;

impl Medium for Disk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        // An earlier attempt may have failed half way.
        let mut file = File::options().create(true).append(true).open(path)?;
        file.set_len(0)?;
        file.write_all(head)?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            crate::embedded::directory::sync_folder(folder)?;
        }
        Ok(Box::new(file))
    }
}

impl LogFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
