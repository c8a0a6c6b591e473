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
    /// Sets room aside for the next file in this folder, unless that was done already.
    fn reserve(&self, folder: &Path, bytes: u64) -> io::Result<()>;
    /// Gives the room back: something else needs it more.
    fn release(&self, folder: &Path) -> io::Result<()>;
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
/// A file is made from room that was set aside: blocks that have been written once. Then a sync has only data to write and
/// does not wait for the file system's journal, which halves its time and keeps it apart from other files' syncs.
#[derive(Debug)]
pub(in crate::embedded) struct Disk;

/// The room for the next file, and while it is made.
const RESERVED: &str = "reserved";
const UNFINISHED: &str = "reserved.new";

impl Medium for Disk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        let reserved = path.with_file_name(RESERVED);
        let file = match File::options().write(true).open(&reserved) {
            Ok(file) => {
                fs::rename(&reserved, path)?;
                file
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // An earlier attempt may have failed half way.
                File::options()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .open(path)?
            }
            Err(error) => return Err(error),
        };
        file.write_all_at(head, 0)?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
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

    fn release(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_file(folder.join(RESERVED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
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
