//! The folder of a store: its format, its lock, and that it is complete.
//!
//! ```text
//!   <path>/LOCK          held while a process has the store open
//!   <path>/data/FORMAT   the format of what follows
//!              /MARK     what must be there at least, see `log::mark`
//!              /log/     commits since the last flush, see `log`
//!              /tree/    everything before them, see `tree`
//! ```
//!
//! `data` is made under another name and renamed when it is complete, so a crash while it is made leaves nothing that
//! could be taken for a damaged store.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::checksum;
use super::error::OpenError;

/// The format that this version writes. It reads older ones too, and makes them this one when it opens them.
///
/// 2 has followers and copies. Who does not know of them would commit to a copy, and leave followers without changes.
pub(super) const FORMAT: u32 = 2;

const FORMAT_NAME: &str = "mainstay-store format";

/// The folder of a store that this process has for itself.
#[derive(Debug)]
pub(super) struct Directory {
    data: PathBuf,
    _lock: Lock,
}

/// A folder is locked until this is dropped.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing the file would not always be enough: a process that is just being started holds it too, for a moment.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "cannot unlock the store's folder; it is unlocked when its file is closed");
        }
    }
}

impl Directory {
    /// Locks the folder, makes it with `fill` if there is no store in it, and checks its format.
    pub(super) fn open(
        path: &Path,
        fill: impl FnOnce(&Path) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(OpenError::at(path))?;
        let lock = lock(path)?;
        let data = path.join("data");
        if data.try_exists().map_err(OpenError::at(&data))? {
            if check_format(path, &data)? < FORMAT {
                upgrade(&data).map_err(OpenError::at(&data))?;
            }
        } else {
            let unfinished = path.join("data.new");
            create(&unfinished, fill)?;
            fs::rename(&unfinished, &data).map_err(OpenError::at(&data))?;
            sync_folder(path).map_err(OpenError::at(path))?;
        }
        Ok(Self { data, _lock: lock })
    }

    pub(super) fn mark(&self) -> PathBuf {
        mark(&self.data)
    }

    pub(super) fn log(&self) -> PathBuf {
        log(&self.data)
    }

    pub(super) fn tree(&self) -> PathBuf {
        tree(&self.data)
    }
}

/// Where the mark is in a data folder.
pub(super) fn mark(data: &Path) -> PathBuf {
    data.join("MARK")
}

/// Where the log is in a data folder.
pub(super) fn log(data: &Path) -> PathBuf {
    data.join("log")
}

/// Where the tree is in a data folder.
pub(super) fn tree(data: &Path) -> PathBuf {
    data.join("tree")
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let name = path.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(OpenError::at(&name))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::at(&name)(error)),
    }
}

fn create(unfinished: &Path, fill: impl FnOnce(&Path) -> Result<(), OpenError>) -> Result<(), OpenError> {
    match fs::remove_dir_all(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::at(unfinished)(error));
        }
        _ => {}
    }
    fs::create_dir(unfinished).map_err(OpenError::at(unfinished))?;
    fill(unfinished)?;
    let name = unfinished.join("FORMAT");
    write_format(&name).map_err(OpenError::at(&name))?;
    sync_folder(unfinished).map_err(OpenError::at(unfinished))
}

fn write_format(name: &Path) -> io::Result<()> {
    let line = format!("{FORMAT_NAME} {FORMAT}");
    let mut file = File::create_new(name)?;
    writeln!(file, "{line}\nchecksum {:016x}", checksum::of(line.as_bytes()))?;
    file.sync_all()
}

/// Gives what is there the format of this version: older ones need nothing else.
fn upgrade(data: &Path) -> io::Result<()> {
    let unfinished = data.join("FORMAT.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_format(&unfinished)?;
    fs::rename(&unfinished, data.join("FORMAT"))?;
    sync_folder(data)
}

fn check_format(path: &Path, data: &Path) -> Result<u32, OpenError> {
    let name = data.join("FORMAT");
    let text = match fs::read(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::damaged(path, "the file `data/FORMAT` is missing"));
        }
        Err(error) => return Err(OpenError::at(&name)(error)),
    };
    let found = parse_format(&text)
        .ok_or_else(|| OpenError::damaged(path, "the file `data/FORMAT` does not match its checksum"))?;
    if found > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(found)
}

/// The format that the file names, if it is whole. Later formats keep these two lines.
fn parse_format(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.split_inclusive('\n');
    let format = lines.next()?.strip_suffix('\n')?;
    let sum = lines.next()?.strip_suffix('\n')?.strip_prefix("checksum ")?;
    let whole = lines.next().is_none() && sum == format!("{:016x}", checksum::of(format.as_bytes()));
    let number = format.strip_prefix(FORMAT_NAME)?.trim_start();
    whole.then(|| number.parse().ok()).flatten()
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Directory, OpenError> {
        Directory::open(path, |_| Ok(()))
    }

    #[test]
    fn a_new_folder_is_made_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/store");
        drop(open(&path).unwrap());
        let refill = Directory::open(&path, |_| panic!("it was there"));
        assert!(refill.is_ok());
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        assert!(matches!(open(folder.path()), Err(OpenError::Locked(_))));
        drop(first);
        open(folder.path()).unwrap();
    }

    #[test]
    fn the_lock_goes_although_a_process_that_is_being_started_holds_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let _forked = held.0.try_clone().unwrap();
        assert!(matches!(open(folder.path()), Err(OpenError::Locked(_))));
        drop(held);
        open(folder.path()).unwrap();
    }

    #[test]
    fn an_unfinished_folder_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let failed = Directory::open(folder.path(), |data| {
            fs::write(data.join("half"), "x").unwrap();
            Err(OpenError::Locked(data.to_owned()))
        });
        assert!(failed.is_err());
        open(folder.path()).unwrap();
        assert!(!folder.path().join("data/half").exists());
    }

    fn format(number: u32) -> String {
        let line = format!("{FORMAT_NAME} {number}");
        format!("{line}\nchecksum {:016x}\n", checksum::of(line.as_bytes()))
    }

    #[test]
    fn an_older_format_becomes_this_one() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let name = folder.path().join("data/FORMAT");
        fs::write(&name, format(FORMAT - 1)).unwrap();
        // What a crash leaves half way.
        fs::write(name.with_extension("new"), "half").unwrap();
        drop(open(folder.path()).unwrap());
        assert_eq!(fs::read_to_string(&name).unwrap(), format(FORMAT));
        assert!(!name.with_extension("new").exists());
        open(folder.path()).unwrap();
    }

    #[test]
    fn formats_are_told_apart_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let name = folder.path().join("data/FORMAT");
        let good = fs::read(&name).unwrap();

        fs::write(&name, format(FORMAT + 1)).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(
            matches!(error, OpenError::NewerFormat { found, .. } if found == FORMAT + 1),
            "{error}"
        );
        assert!(error.to_string().contains("newer Mainstay"), "{error}");

        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&name, flipped).unwrap();
            assert!(
                matches!(open(folder.path()), Err(OpenError::Damaged { .. })),
                "bit {bit}"
            );
        }
        for length in 0..good.len() {
            fs::write(&name, &good[..length]).unwrap();
            assert!(
                matches!(open(folder.path()), Err(OpenError::Damaged { .. })),
                "length {length}"
            );
        }
        fs::remove_file(&name).unwrap();
        assert!(matches!(open(folder.path()), Err(OpenError::Damaged { .. })));
    }
}
