use std::os::unix::fs::FileExt;

use bytes::BytesMut;

use super::*;
use crate::embedded::log::file::{Disk, Medium};
use crate::embedded::log::record::Change;
use crate::embedded::log::writer::Writer;

/// A log of two files with two groups each, and its mark.
struct Log {
    folder: tempfile::TempDir,
    mark: Mark,
}

fn group(number: u64) -> BytesMut {
    let mut group = BytesMut::new();
    frame::begin(&mut group);
    let record = Record {
        number,
        changes: vec![Change::put(
            Bytes::from(vec![number as u8; 20]),
            Bytes::from(vec![7; 50]),
        )],
    };
    record.encode(&mut group);
    group
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::begin(folder.path(), Box::new(Disk), 1, 0).unwrap();
        writer.write(&mut group(1)).unwrap();
        writer.write(&mut group(2)).unwrap();
        writer.rotate(false).unwrap();
        writer.write(&mut group(3)).unwrap();
        writer.write(&mut group(4)).unwrap();
        let mark = Mark {
            first_file: 1,
            last_file: writer.number(),
            durable_bytes: writer.durable_bytes(),
            number: 4,
        };
        Self { folder, mark }
    }

    fn name(&self, number: u64) -> PathBuf {
        file_name(self.folder.path(), number)
    }

    fn recover(&self) -> Result<Vec<u64>, OpenError> {
        let mut numbers = Vec::new();
        recover(self.folder.path(), self.folder.path(), self.mark, |record| {
            numbers.push(record.number);
        })?;
        Ok(numbers)
    }
}

#[test]
fn all_that_was_written() {
    let log = Log::new();
    assert_eq!(log.recover().unwrap(), [1, 2, 3, 4]);
    let folder = log.folder.path();
    let end = recover(folder, folder, log.mark, drop).unwrap();
    assert_eq!((end.file, end.whole_bytes), (2, log.mark.durable_bytes));
}

#[test]
fn every_flipped_bit_is_damage() {
    let log = Log::new();
    for number in [1, 2] {
        let good = fs::read(log.name(number)).unwrap();
        let raw = fs::File::options().write(true).open(log.name(number)).unwrap();
        for (offset, byte) in good.iter().enumerate() {
            for bit in 0..8 {
                raw.write_all_at(&[byte ^ (1 << bit)], offset as u64).unwrap();
                let error = log.recover().unwrap_err();
                assert!(
                    matches!(error, OpenError::Damaged { .. }),
                    "file {number} byte {offset}: {error}"
                );
            }
            raw.write_all_at(&[*byte], offset as u64).unwrap();
        }
    }
}

#[test]
fn every_cut_is_damage() {
    let log = Log::new();
    for number in [1, 2] {
        let good = fs::read(log.name(number)).unwrap();
        let raw = fs::File::options().write(true).open(log.name(number)).unwrap();
        for length in (0..good.len()).rev() {
            raw.set_len(length as u64).unwrap();
            assert!(log.recover().is_err(), "file {number} cut to {length}");
        }
        fs::remove_file(log.name(number)).unwrap();
        assert!(log.recover().is_err(), "file {number} removed");
        fs::write(log.name(number), good).unwrap();
    }
}

#[test]
fn a_torn_group_behind_the_mark_never_happened() {
    let mut log = Log::new();
    let good = fs::read(log.name(2)).unwrap();
    let group_bytes = group(4).len();
    // The power went before the last group was durable: the mark had not moved yet.
    log.mark.durable_bytes -= group_bytes as u64;
    for kept in 0..group_bytes {
        let mut torn = good[..good.len() - group_bytes + kept].to_vec();
        fs::write(log.name(2), &torn).unwrap();
        assert_eq!(log.recover().unwrap(), [1, 2, 3], "{kept} bytes of the group");
        // The length may be durable before the bytes are.
        torn.resize(good.len() + 4_096, 0);
        fs::write(log.name(2), &torn).unwrap();
        assert_eq!(
            log.recover().unwrap(),
            [1, 2, 3],
            "{kept} bytes of the group, then zeros"
        );
    }
    // A whole group counts, acknowledged or not.
    fs::write(log.name(2), &good).unwrap();
    assert_eq!(log.recover().unwrap(), [1, 2, 3, 4]);
    // But not what is broken in front of a whole one, even if the mark was left behind.
    log.mark.durable_bytes = frame::HEAD_BYTES as u64;
    let mut broken = good.clone();
    broken[frame::HEAD_BYTES + 20] ^= 1;
    fs::write(log.name(2), &broken).unwrap();
    assert!(log.recover().is_err());
}

#[test]
fn a_placed_file_counts_when_it_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut writer = Writer::begin(path, Box::new(Disk), 1, 0).unwrap();
    writer.write(&mut group(1)).unwrap();
    let mark = Mark {
        first_file: 1,
        last_file: 1,
        durable_bytes: writer.durable_bytes(),
        number: 1,
    };
    let recovered = || {
        let mut numbers = Vec::new();
        let end = recover(path, path, mark, |record| {
            numbers.push(record.number);
        });
        (end.unwrap().file, numbers)
    };
    Disk.reserve(path, 10_000).unwrap();
    Disk.place(&file_name(path, 2)).unwrap();
    assert_eq!(recovered(), (1, vec![1]));
    writer.rotate(true).unwrap();
    assert_eq!(recovered(), (2, vec![1]));
    writer.write(&mut group(2)).unwrap();
    assert_eq!(recovered(), (2, vec![1, 2]));
}

#[test]
fn a_file_that_was_not_begun_does_not_count() {
    let log = Log::new();
    let next = log.name(3);
    for junk in [&[][..], &[0; 32], b"MSTLOG", &[0; 9_000]] {
        fs::write(&next, junk).unwrap();
        assert_eq!(log.recover().unwrap(), [1, 2, 3, 4]);
    }
}
