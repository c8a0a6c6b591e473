//! Writing the log: one group, one sync.

use std::io;
use std::path::{Path, PathBuf};

use bytes::BytesMut;

use super::file::{LogFile, Medium};
use super::frame::{self, Head};

/// The log file that is written to.
#[derive(Debug)]
pub(in crate::embedded) struct Writer {
    folder: PathBuf,
    medium: Box<dyn Medium>,
    file: Box<dyn LogFile>,
    head: Head,
    durable_bytes: u64,
    /// Something may stand behind the durable part.
    dirty: bool,
}

/// What became of a group that could not be written.
#[derive(Debug)]
pub(in crate::embedded) enum WriteError {
    /// There is no room. Nothing of the group is left, and later groups may be tried.
    Full(io::Error),
    /// It was not written, and nothing more can be.
    Broken(io::Error),
    /// It was written but may not be durable, and nothing more can be written. (A failed sync must not be repeated: the
    /// system may have dropped what it could not write. Rebello et al., 2020.)
    Unsure(io::Error),
}

impl Writer {
    /// Begins the file with this number, after one with so many durable bytes.
    pub(in crate::embedded) fn begin(
        folder: &Path,
        medium: Box<dyn Medium>,
        number: u64,
        bytes_before: u64,
    ) -> io::Result<Self> {
        let head = Head::new(number, bytes_before);
        let file = medium.create(&file_name(folder, number), &head.encode())?;
        Ok(Self {
            folder: folder.to_owned(),
            medium,
            file,
            head,
            durable_bytes: frame::HEAD_BYTES as u64,
            dirty: false,
        })
    }

    pub(in crate::embedded) fn number(&self) -> u64 {
        self.head.number
    }

    pub(in crate::embedded) fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Writes a group, begun by [`frame::begin`], and makes it durable.
    pub(in crate::embedded) fn write(&mut self, group: &mut BytesMut) -> Result<(), WriteError> {
        if self.dirty {
            self.file
                .truncate(self.durable_bytes)
                .map_err(WriteError::Broken)?;
            self.dirty = false;
        }
        frame::finish(group, self.head.salt, self.durable_bytes);
        if let Err(error) = self.file.write(group, self.durable_bytes) {
            // What got through is no whole group; it goes before anything else is written.
            self.dirty = true;
            return Err(if is_full(&error) {
                WriteError::Full(error)
            } else {
                WriteError::Broken(error)
            });
        }
        self.file.sync().map_err(WriteError::Unsure)?;
        self.durable_bytes += group.len() as u64;
        Ok(())
    }

    /// Goes on in the next file, which was placed already or is made now.
    pub(in crate::embedded) fn rotate(&mut self, is_placed: bool) -> io::Result<()> {
        let head = Head::new(self.head.number + 1, self.durable_bytes);
        let name = file_name(&self.folder, head.number);
        self.file = if is_placed {
            self.medium.begin(&name, &head.encode())?
        } else {
            self.medium.create(&name, &head.encode())?
        };
        self.head = head;
        self.durable_bytes = frame::HEAD_BYTES as u64;
        self.dirty = false;
        Ok(())
    }
}

/// The name of the file with this number.
pub(in crate::embedded) fn file_name(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.log"))
}

/// Whether there was no room: of the disk, of a quota, or of the largest file that the process may make.
pub(in crate::embedded) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
