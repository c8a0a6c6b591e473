//! The mark: what must be in the log at least.
//!
//! It is written after each group is durable, and not synced for it: a killed process leaves it exact, a power cut leaves
//! it somewhat behind. Behind is harmless, because it is a lower bound. Two slots take turns, so that there is always a
//! whole one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use crate::embedded::checksum;

/// Each slot is in a sector of its own.
const SLOT_BYTES: u64 = 512;
const USED_BYTES: usize = 48;

/// A place in the log, and what came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Mark {
    /// The oldest log file that is needed.
    pub first_file: u64,
    /// The log file that is written to.
    pub last_file: u64,
    /// How much of it is durable.
    pub durable_bytes: u64,
    /// The latest number given to a durable record.
    pub number: u64,
}

/// The file with the mark.
#[derive(Debug)]
pub(in crate::embedded) struct MarkFile {
    file: Arc<File>,
    turn: u64,
    mark: Mark,
}

impl MarkFile {
    /// Makes the file, durable.
    pub(in crate::embedded) fn create(path: &Path, mark: Mark) -> io::Result<Self> {
        let file = File::create_new(path)?;
        file.set_len(2 * SLOT_BYTES)?;
        let file = Arc::new(file);
        let mut marks = Self { file, turn: 0, mark };
        marks.write(mark)?;
        marks.write(mark)?;
        marks.file.sync_all()?;
        Ok(marks)
    }

    /// Opens the file; `None` when it is missing or neither slot is whole.
    pub(in crate::embedded) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let latest = slots.into_iter().flatten().max_by_key(|(turn, _)| *turn);
        let file = Arc::new(file);
        Ok(latest.map(|(turn, mark)| Self { file, turn, mark }))
    }

    pub(in crate::embedded) fn get(&self) -> Mark {
        self.mark
    }

    /// Sets the mark, not durable yet.
    pub(in crate::embedded) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.turn += 1;
        self.mark = mark;
        let mut slot = Vec::with_capacity(USED_BYTES);
        slot.put_u64(self.turn);
        slot.put_u64(mark.first_file);
        slot.put_u64(mark.last_file);
        slot.put_u64(mark.durable_bytes);
        slot.put_u64(mark.number);
        slot.put_u64(checksum::of(&slot));
        self.file.write_all_at(&slot, self.turn % 2 * SLOT_BYTES)
    }

    /// The file, to be synced by somebody who does not keep others from writing the mark meanwhile.
    pub(in crate::embedded) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Makes the mark durable.
    pub(in crate::embedded) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn read_slot(file: &File, slot: u64) -> io::Result<Option<(u64, Mark)>> {
    let mut bytes = [0; USED_BYTES];
    match file.read_exact_at(&mut bytes, slot * SLOT_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    Ok(decode(&bytes, slot))
}

fn decode(bytes: &[u8; USED_BYTES], slot: u64) -> Option<(u64, Mark)> {
    let (covered, sum) = bytes.split_last_chunk::<8>()?;
    let mut rest = covered;
    let turn = rest.try_get_u64().ok()?;
    let mark = Mark {
        first_file: rest.try_get_u64().ok()?,
        last_file: rest.try_get_u64().ok()?,
        durable_bytes: rest.try_get_u64().ok()?,
        number: rest.try_get_u64().ok()?,
    };
    let whole = u64::from_be_bytes(*sum) == checksum::of(covered) && turn % 2 == slot;
    whole.then_some((turn, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark {
            first_file: 1,
            last_file: 2,
            durable_bytes: number,
            number,
        }
    }

    #[test]
    fn the_latest_whole_slot_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("MARK");
        let mut file = MarkFile::create(&path, mark(0)).unwrap();
        for number in 1..10 {
            file.write(mark(number)).unwrap();
        }
        let reopened = MarkFile::open(&path).unwrap().unwrap();
        assert_eq!(reopened.get(), mark(9));

        let raw = File::options().write(true).open(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for (offset, byte) in good.iter().enumerate() {
            for bit in 0..8 {
                raw.write_all_at(&[byte ^ (1 << bit)], offset as u64).unwrap();
                let found = MarkFile::open(&path).unwrap().unwrap().get();
                assert!(found == mark(9) || found == mark(8), "byte {offset}: {found:?}");
            }
            raw.write_all_at(&[*byte], offset as u64).unwrap();
        }
        std::fs::write(&path, [0; 1_024]).unwrap();
        assert!(MarkFile::open(&path).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        assert!(MarkFile::open(&path).unwrap().is_none());
    }
}
