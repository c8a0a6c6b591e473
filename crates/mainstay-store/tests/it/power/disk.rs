//! A disk with a cache in front: what is not synced may be there after a power cut, or not, or in part, in any order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_base::{Rng, SplitMix64};

use super::trace::Operation;

/// A disk with everything that was done to one folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: Vec<Contents>,
    /// Names as the process sees them.
    names: BTreeMap<PathBuf, usize>,
    /// Names as they are after a power cut, if none of `pending` got through.
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<NameChange>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    durable: Vec<u8>,
    pending: Vec<Change>,
    length: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLength(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, usize),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// What gets through of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing.
    Nothing,
    /// Everything: a killed process, not a power cut.
    Everything,
    /// Names in order up to some point, and of each file's changes any, whole or torn.
    Some,
    /// As before, but of the names any too.
    Any,
}

impl Disk {
    /// A disk with these files, all durable.
    pub(super) fn with_files(folder: &Path) -> Self {
        let mut disk = Self::default();
        disk.import(folder);
        disk.durable = disk.names.clone();
        disk
    }

    fn import(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.import(&path);
                continue;
            }
            let durable = fs::read(&path).unwrap();
            self.names.insert(path, self.files.len());
            self.files.push(Contents {
                length: durable.len() as u64,
                durable,
                pending: Vec::new(),
            });
        }
    }

    /// Does what the process did.
    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Open { path, truncates } => self.open(path, *truncates),
            Operation::Write { path, offset, bytes } => {
                if let Some(file) = self.file(path) {
                    let offset = offset.unwrap_or(file.length);
                    file.length = file.length.max(offset + bytes.len() as u64);
                    file.pending.push(Change::Write {
                        offset,
                        bytes: bytes.clone(),
                    });
                }
            }
            Operation::SetLength { path, length } => {
                if let Some(file) = self.file(path) {
                    file.set_length(*length);
                }
            }
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                    self.pending.push(NameChange::Rename(from.clone(), to.clone()));
                }
            }
            Operation::Remove { path } => {
                if self.names.remove(path).is_some() {
                    self.pending.push(NameChange::Remove(path.clone()));
                }
            }
            Operation::Sync { path } => self.sync(path),
        }
    }

    fn open(&mut self, path: &Path, truncates: bool) {
        if !self.names.contains_key(path) {
            let file = self.files.len();
            self.files.push(Contents::default());
            self.names.insert(path.to_owned(), file);
            self.pending.push(NameChange::Add(path.to_owned(), file));
        } else if truncates && let Some(file) = self.file(path) {
            file.set_length(0);
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut Contents> {
        self.files.get_mut(*self.names.get(path)?)
    }

    fn sync(&mut self, path: &Path) {
        if let Some(file) = self.file(path) {
            for change in std::mem::take(&mut file.pending) {
                change.apply(&mut file.durable);
            }
            return;
        }
        // A folder: its names.
        for change in std::mem::take(&mut self.pending) {
            if change.folder() == Some(path) {
                change.apply(&mut self.durable);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// Fails unless it holds what the folder really holds: then nothing that was done to it has been misunderstood.
    pub(super) fn assert_is_like(&self, folder: &Path) {
        let mut real = Self::with_files(folder);
        for (name, file) in &self.names {
            let expected = self.files[*file].after(Cut::Everything, &mut SplitMix64::new(0));
            let found = real
                .names
                .remove(name)
                .map(|found| real.files[found].durable.len());
            assert_eq!(found, Some(expected.len()), "the length of {}", name.display());
            assert!(
                fs::read(name).unwrap() == expected,
                "the bytes of {}",
                name.display()
            );
        }
        assert!(real.names.is_empty(), "not in the record: {:?}", real.names);
    }

    /// Whether anything is not durable.
    pub(super) fn is_dirty(&self) -> bool {
        !self.pending.is_empty() || self.files.iter().any(|file| !file.pending.is_empty())
    }

    /// Builds what is found after a power cut; names are moved from one folder to another.
    pub(super) fn build(&self, cut: Cut, rng: &mut SplitMix64, from: &Path, to: &Path) {
        let mut names = self.durable.clone();
        let through = rng.below(self.pending.len() as u64 + 1) as usize;
        for (index, change) in self.pending.iter().enumerate() {
            let is_through = match cut {
                Cut::Nothing => false,
                Cut::Everything => true,
                Cut::Some => index < through,
                Cut::Any => rng.below(2) == 0,
            };
            if is_through {
                change.apply(&mut names);
            }
        }
        for (name, file) in names {
            let target = to.join(name.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(&target, self.files[file].after(cut, rng)).unwrap();
        }
    }
}

impl Contents {
    fn set_length(&mut self, length: u64) {
        self.length = length;
        self.pending.push(Change::SetLength(length));
    }

    fn after(&self, cut: Cut, rng: &mut SplitMix64) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match cut {
                Cut::Nothing => {}
                Cut::Everything => change.apply(&mut bytes),
                Cut::Some | Cut::Any => change.apply_torn(rng, &mut bytes),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[start..end].copy_from_slice(bytes);
            }
            Self::SetLength(length) => to.resize(*length as usize, 0),
        }
    }

    /// All of it, nothing, some of its sectors, or only the length that it gives the file.
    fn apply_torn(&self, rng: &mut SplitMix64, to: &mut Vec<u8>) {
        const SECTOR: usize = 512;
        let Self::Write { offset, bytes } = self else {
            if rng.below(2) == 0 {
                self.apply(to);
            }
            return;
        };
        match rng.below(4) {
            0 => {}
            1 => self.apply(to),
            2 => {
                let end = *offset as usize + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
            }
            _ => {
                // Sectors of the disk, not of the write.
                let mut start = 0;
                while start < bytes.len() {
                    let at = *offset as usize + start;
                    let end = bytes.len().min(start + SECTOR - at % SECTOR);
                    if rng.below(2) == 0 {
                        let part = Self::Write {
                            offset: at as u64,
                            bytes: bytes[start..end].to_vec(),
                        };
                        part.apply(to);
                    }
                    start = end;
                }
            }
        }
    }
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename(_, path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Add(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}
