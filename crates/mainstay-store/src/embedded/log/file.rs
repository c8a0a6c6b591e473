//! The file under the log as a port, so that tests can let the disk fail.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::embedded::directory::sync_folder;

/// Makes log files.
pub(in crate::embedded) trait Medium: Send + Sync + fmt::Debug {
    /// A new file with this head, durable together with its name.
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>>;
    /// Begins a file that was placed, with this head, durably.
    fn begin(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>>;
    /// Sets room aside for the next file in this folder, unless that was done already.
    fn reserve(&self, folder: &Path, bytes: u64) -> io::Result<()>;
    /// Gives the room its name, durably.
    fn place(&self, path: &Path) -> io::Result<()>;
    /// Gives the room back, and the file that was placed: something else needs it more.
    fn release(&self, folder: &Path, placed: Option<&Path>) -> io::Result<()>;
}

/// A file that is written from its beginning to its end, except where a write failed.
pub(in crate::embedded) trait LogFile: Send + fmt::Debug {
    /// Writes all of `bytes` at `offset`, where the file ends so far.
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes back what was written after the first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The real disk.
///
/// A file is made from room that was set aside: blocks that have been written once, under their final name. Then beginning
/// the file and syncing it has only data to write and does not wait for the file system's journal, which halves the time of
/// a sync and keeps it apart from other files' syncs.
#[derive(Debug)]
pub(in crate::embedded) struct Disk;

/// The room for the next file, and while it is made.
const RESERVED: &str = "reserved";
const UNFINISHED: &str = "reserved.new";

/// Bytes of the room that are written between two syncs.
const SYNCED_BYTES: u64 = 1_024 * 1_024;

impl Medium for Disk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        // An earlier attempt may have failed half way.
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path)?;
        file.write_all_at(head, 0)?;
        file.sync_all()?;
        sync_parent(path)?;
        Ok(Box::new(file))
    }

    fn begin(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        let file = File::options().write(true).open(path)?;
        file.write_all_at(head, 0)?;
        file.sync_data()?;
        Ok(Box::new(file))
    }

    fn reserve(&self, folder: &Path, bytes: u64) -> io::Result<()> {
        let (reserved, unfinished) = (folder.join(RESERVED), folder.join(UNFINISHED));
        if reserved.try_exists()? {
            return Ok(());
        }
        let made = fill(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &reserved));
        if made.is_err() {
            // Commits may need the room more.
            let _ = fs::remove_file(&unfinished);
        }
        made
    }

    fn place(&self, path: &Path) -> io::Result<()> {
        fs::rename(path.with_file_name(RESERVED), path)?;
        sync_parent(path)
    }

    fn release(&self, folder: &Path, placed: Option<&Path>) -> io::Result<()> {
        let reserved = folder.join(RESERVED);
        for path in [Some(reserved.as_path()), placed].into_iter().flatten() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1_024] = [0; 64 * 1_024];
    let file = File::create(path)?;
    // Fails at once, before anything is taken, when there is no room.
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(ZEROS.len() as u64);
        file.write_all_at(ZEROS.get(..length as usize).unwrap_or(&ZEROS), offset)?;
        offset += length;
        // Bit by bit, as all that is written behind the commits.
        if offset % SYNCED_BYTES == 0 {
            file.sync_data()?;
        }
    }
    file.sync_all()
}

impl LogFile for File {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
