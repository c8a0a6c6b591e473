//! Reading the log when the store is opened.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{self, Contents, Head};
use super::mark::Mark;
use super::record::Record;
use super::writer::file_name;
use crate::embedded::error::OpenError;

/// Where the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct End {
    /// The last file.
    pub file: u64,
    /// How much of it is whole.
    pub whole_bytes: u64,
}

/// Gives `apply` every commit in the log, in order, after checking that none is missing.
pub(in crate::embedded) fn recover(
    path: &Path,
    folder: &Path,
    mark: Mark,
    mut apply: impl FnMut(Record),
) -> Result<End, OpenError> {
    let files = list(folder).map_err(OpenError::at(folder))?;
    let mut end = End {
        file: last_file(&files, mark).map_err(OpenError::at(folder))?,
        whole_bytes: 0,
    };
    for number in mark.first_file..=end.file {
        let Some(name) = files.get(&number) else {
            return Err(OpenError::damaged(path, format!("log file {number} is missing")));
        };
        let bytes = Bytes::from(fs::read(name).map_err(OpenError::at(name))?);
        let before_next = match files.get(&(number + 1)) {
            Some(next) if number < end.file => {
                read_bytes_before(next, number + 1).map_err(OpenError::at(next))?
            }
            _ => None,
        };
        let contents = judge(&bytes, number, before_next, end.file, mark)
            .map_err(|at| OpenError::damaged(path, format!("log file {number} is damaged at byte {at}")))?;
        end.whole_bytes = contents.whole_bytes;
        for (ends_at, payload) in contents.payloads {
            if before_next.is_some_and(|durable| ends_at > durable) {
                break;
            }
            let records = Record::decode_all(bytes.slice_ref(payload)).ok_or_else(|| {
                OpenError::damaged(path, format!("log file {number} holds a group that is none"))
            })?;
            records.into_iter().for_each(&mut apply);
        }
    }
    make_durable(&files, end.file).map_err(OpenError::at(folder))?;
    Ok(end)
}

/// The last file that counts: not one that was being made when the store stopped.
fn last_file(files: &BTreeMap<u64, PathBuf>, mark: Mark) -> io::Result<u64> {
    let Some((&last, name)) = files.last_key_value().filter(|(last, _)| **last > mark.last_file) else {
        return Ok(mark.last_file);
    };
    let bytes = fs::read(name)?;
    let is_used = |rest: &[u8]| rest.iter().any(|byte| *byte != 0);
    let was_begun =
        Head::decode(&bytes, last).is_some() || bytes.get(frame::HEAD_BYTES..).is_some_and(is_used);
    Ok(if was_begun { last } else { last - 1 })
}

fn read_bytes_before(name: &Path, number: u64) -> io::Result<Option<u64>> {
    let mut head = Vec::with_capacity(frame::HEAD_BYTES);
    fs::File::open(name)?
        .take(frame::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(Head::decode(&head, number).map(|head| head.bytes_before))
}

/// What a killed process had written may still be on its way to the disk: readers must not see it before it is there.
fn make_durable(files: &BTreeMap<u64, PathBuf>, last_file: u64) -> io::Result<()> {
    files
        .get(&last_file)
        .map_or(Ok(()), |name| fs::File::open(name)?.sync_all())
}

/// What is left of files that are not needed.
pub(in crate::embedded) fn remove_before(folder: &Path, first_file: u64) -> io::Result<()> {
    for (number, name) in list(folder)? {
        if number < first_file {
            fs::remove_file(name)?;
        }
    }
    Ok(())
}

/// Removes files from `first` to `last`, which were flushed.
pub(in crate::embedded) fn remove(folder: &Path, first: u64, last: u64) -> io::Result<()> {
    for number in first..=last {
        match fs::remove_file(file_name(folder, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn list(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(number) = stem.and_then(|stem| stem.parse().ok()) {
            files.insert(number, path);
        }
    }
    Ok(files)
}

/// What a file holds, if it is as a crash may leave it; otherwise from which byte on it is not.
fn judge(
    bytes: &[u8],
    number: u64,
    before_next: Option<u64>,
    last_file: u64,
    mark: Mark,
) -> Result<Contents<'_>, u64> {
    let contents = frame::read(bytes, number).ok_or(0_u64)?;
    let marked = if number == mark.last_file {
        mark.durable_bytes
    } else {
        0
    };
    let durable = marked.max(before_next.unwrap_or(0));
    let is_last = number == last_file;
    let unknown = !is_last && before_next.is_none();
    if contents.whole_bytes < durable || unknown || (is_last && contents.has_more) {
        return Err(contents.whole_bytes);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests;
