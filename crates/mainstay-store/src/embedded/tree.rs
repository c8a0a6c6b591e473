//! The tree: everything that was committed, in memory first, then in sorted files (a log-structured merge tree).
//!
//! It knows nothing of durability: what is in its memory is also in the log. Sequence numbers of the tree are those of
//! the records, which are the versions of commits that were made here. A value is stored with its version, which is
//! another one where it was copied from another store, and a checksum over key, version and value, so that nothing can be
//! given out under another key or as of another time:
//!
//! ```text
//!   version 8 | checksum 8 | value
//! ```

mod past;

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, Guard, InternalValue, Memtable, SequenceNumberCounter, Slice, ValueType,
};

use super::checksum;
use super::log::record::{Change, Record};
use super::pace::{Merges, Pace, Tables};
use crate::error::Damage;
use crate::version::Version;

/// Sees everything that is in the tree.
pub(super) const LATEST: u64 = (1 << 63) - 1;

const ENVELOPE_BYTES: usize = 16;

/// So many unsorted runs are merged with the first sorted level, which is as large as they are at least: with fewer, more
/// would be written over and over.
const RUNS_TO_MERGE: u8 = 8;

/// Bytes of a sorted file; a merge is of some of them.
const TABLE_BYTES: u64 = 32 * 1_024 * 1_024;

/// Where the engine keeps its sorted files; their names are numbers.
const TABLES: &str = "tables";

/// The tree. Clones are the same tree.
#[derive(Clone)]
pub(super) struct Tree {
    engine: AnyTree,
    path: PathBuf,
    /// Numbers that the tree takes for its own changes; always above every record in it.
    numbers: SequenceNumberCounter,
    /// What a commit needs is kept here, because the engine would look it up under a lock that it holds while it syncs the
    /// list of its files, and the commit would wait for that.
    memory: Arc<Mutex<Memory>>,
    run_count: Arc<AtomicUsize>,
    /// Read while files are written, written while unfinished ones are removed.
    working: Arc<RwLock<()>>,
    pace: Arc<Pace>,
}

struct Memory {
    /// Is written to.
    active: Arc<Memtable>,
    /// Wait to be flushed, the oldest first.
    sealed: VecDeque<Arc<Memtable>>,
}

/// A key of the tree, the version of the value, and the value.
pub(super) type Found = (Bytes, Version, Bytes);

impl Tree {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path, cache_bytes: u64, pace: Arc<Pace>) -> Result<Self, TreeError> {
        check_files(path)?;
        let merges = Merges {
            folder: path.join(TABLES),
            pace: pace.clone(),
        };
        let numbers = SequenceNumberCounter::new(1);
        // Who sees what is not the tree's business here, so it gets a counter of its own for that.
        let config = lsm_tree::Config::new(path, numbers.clone(), SequenceNumberCounter::default())
            .use_cache(Arc::new(Cache::with_capacity_bytes(cache_bytes)))
            .with_compaction_filter_factory(Some(Arc::new(merges)));
        let engine = config.open()?;
        numbers.fetch_max(engine.get_highest_seqno().unwrap_or(0) + 1);
        let memory = Memory {
            active: engine.active_memtable(),
            sealed: VecDeque::new(),
        };
        Ok(Self {
            memory: Arc::new(Mutex::new(memory)),
            run_count: Arc::new(AtomicUsize::new(engine.l0_run_count())),
            engine,
            path: path.to_owned(),
            numbers,
            working: Arc::default(),
            pace,
        })
    }

    /// The latest number that was flushed; everything up to it is in files.
    pub(super) fn flushed(&self) -> u64 {
        self.engine.get_highest_persisted_seqno().unwrap_or(0)
    }

    /// About how many keys there are; what was overwritten or deleted counts until it is merged.
    pub(super) fn about_len(&self) -> u64 {
        self.engine.approximate_len() as u64
    }

    /// A number that no record and no change of the tree has yet.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.get()
    }

    /// Takes note that a number was given out.
    pub(super) fn reserve(&self, number: u64) {
        self.numbers.fetch_max(number + 1);
    }

    /// Applies what was recorded.
    pub(super) fn apply(&self, record: &Record) {
        let number = record.number;
        let memory = self.memory();
        for Change { key, value, version } in &record.changes {
            memory.active.insert(match value {
                Some(value) => {
                    let version = version.unwrap_or(Version::from_u64(number));
                    let envelope = envelope(key, version, value);
                    InternalValue::from_components(key.clone(), envelope, number, ValueType::Value)
                }
                None => InternalValue::new_tombstone(key.clone(), number),
            });
        }
    }

    /// Makes the latest value of a key one that does not match its checksum.
    #[cfg(test)]
    pub(super) fn damage(&self, key: Bytes) {
        let junk = Bytes::from_static(b"no envelope, and no checksum that matches");
        let number = self.numbers.next();
        let value = InternalValue::from_components(key, junk, number, ValueType::Value);
        self.memory().active.insert(value);
    }

    /// The value of a key among all that has a number below `bound`.
    pub(super) fn get(&self, key: &[u8], bound: u64) -> Result<Option<(Version, Bytes)>, TreeError> {
        let Some(bytes) = self.engine.get(key, bound)? else {
            return Ok(None);
        };
        Ok(Some(open_envelope(key, bytes.into())?))
    }

    /// The keys of a range, in order, among all that have a number below `bound`.
    pub(super) fn range(
        &self,
        range: (Bound<Bytes>, Bound<Bytes>),
        bound: u64,
    ) -> impl DoubleEndedIterator<Item = Result<Found, TreeError>> {
        let entries = self.engine.range(range, bound, None);
        entries.map(|entry| {
            let (key, bytes) = entry.into_inner()?;
            let key = Bytes::from(key);
            let (version, value) = open_envelope(&key, bytes.into())?;
            Ok((key, version, value))
        })
    }

    /// Bytes in the memory that is written to.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory().active.size()
    }

    /// Closes the memory that is written to, so that it can be flushed, and begins a new one.
    pub(super) fn seal(&self) {
        let mut memory = self.memory();
        if let Some(sealed) = self.engine.rotate_memtable() {
            memory.sealed.push_back(sealed);
            memory.active = self.engine.active_memtable();
        }
    }

    /// Whether files are being put into the tree, so that [`Tree::seal`] would wait.
    pub(super) fn is_settling(&self) -> bool {
        self.pace.is_settling()
    }

    /// How many closed memories are not flushed yet.
    pub(super) fn sealed_count(&self) -> usize {
        self.memory().sealed.len()
    }

    /// Writes closed memories to files, durably. Nobody reads below `watermark` any more.
    pub(super) fn flush(&self, watermark: u64) -> Result<(), TreeError> {
        loop {
            let Some(oldest) = self.memory().sealed.front().cloned() else {
                return Ok(());
            };
            self.write_files(|| self.flush_one(&oldest, watermark))?;
            self.memory().sealed.pop_front();
            self.count_runs();
        }
    }

    fn flush_one(&self, memory: &Memtable, watermark: u64) -> lsm_tree::Result<()> {
        let _lock = self.engine.get_flush_lock();
        let folder = self.path.join(TABLES);
        let mut tables = Tables::new(&folder, self.pace.clone(), self.engine.next_table_id());
        let entries = visible(memory.iter(), watermark).map(|entry| {
            tables.wrote((entry.key.user_key.len() + entry.value.len()) as u64)?;
            Ok(entry)
        });
        let Some((tables, _)) = self.engine.flush_to_tables(entries)? else {
            return Ok(());
        };
        self.pace.set_settling(true);
        let registered = self
            .engine
            .register_tables(&tables, None, None, &[memory.id()], watermark);
        self.pace.set_settling(false);
        registered
    }

    /// Merges files once, where there is something to merge; says whether there was.
    pub(super) fn compact(&self, watermark: u64) -> Result<bool, TreeError> {
        let before = self.engine.current_version().id();
        let strategy = lsm_tree::compaction::Leveled::default()
            .with_l0_threshold(RUNS_TO_MERGE)
            .with_table_target_size(TABLE_BYTES);
        let merged = self.write_files(|| self.engine.compact(Arc::new(strategy), watermark));
        self.pace.set_settling(false);
        merged?;
        self.count_runs();
        Ok(self.engine.current_version().id() != before)
    }

    /// The tree leaves unfinished files behind when it fails. On a full disk they would keep it full until a restart.
    fn write_files(&self, write: impl FnOnce() -> lsm_tree::Result<()>) -> Result<(), TreeError> {
        let first = self.engine.next_table_id();
        let written = {
            let _working = self.working.read().unwrap_or_else(PoisonError::into_inner);
            write()
        };
        if written.is_err() {
            let _alone = self.working.write().unwrap_or_else(PoisonError::into_inner);
            let current = self.engine.current_version();
            let used: HashSet<u64> = current.iter_tables().map(lsm_tree::Table::id).collect();
            let unused = (first..self.engine.next_table_id()).filter(|number| !used.contains(number));
            for number in unused {
                // It may not have been made at all.
                let _ = fs::remove_file(self.path.join(TABLES).join(number.to_string()));
            }
        }
        Ok(written?)
    }

    /// How many sorted runs a read may have to look through before the leveled part.
    pub(super) fn run_count(&self) -> usize {
        self.run_count.load(Ordering::Relaxed)
    }

    fn count_runs(&self) {
        self.run_count
            .store(self.engine.l0_run_count(), Ordering::Relaxed);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tree")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Leaves out what no reader sees, since none reads below `watermark`. Entries come by key, the latest first.
fn visible(
    entries: impl Iterator<Item = InternalValue>,
    watermark: u64,
) -> impl Iterator<Item = InternalValue> {
    let mut before: Option<(Slice, u64)> = None;
    entries.filter(move |entry| {
        let is_hidden = before
            .as_ref()
            .is_some_and(|(key, number)| *key == entry.key.user_key && *number < watermark);
        before = Some((entry.key.user_key.clone(), entry.key.seqno));
        !is_hidden
    })
}

fn envelope(key: &[u8], version: Version, value: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(ENVELOPE_BYTES + value.len());
    bytes.put_u64(version.as_u64());
    bytes.put_u64(checksum::of_value(key, version, value));
    bytes.put_slice(value);
    bytes.freeze()
}

fn open_envelope(key: &[u8], mut bytes: Bytes) -> Result<(Version, Bytes), Damage> {
    let damage = || {
        let name = key.get(1..).unwrap_or_default().escape_ascii();
        Damage::new(format!("the value of `{name}` does not match its checksum"))
    };
    let version = Version::from_u64(bytes.try_get_u64().map_err(|_| damage())?);
    let sum = bytes.try_get_u64().map_err(|_| damage())?;
    if sum != checksum::of_value(key, version, &bytes) {
        return Err(damage());
    }
    Ok((version, bytes))
}

/// The tree checks its blocks when it reads them, but not the list of its files: `current` names the list `v<number>` and
/// holds its checksum.
fn check_files(path: &Path) -> Result<(), TreeError> {
    let current = match fs::read(path.join("current")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if path.try_exists()? {
                Err(Damage::new("the file `tree/current` is missing").into())
            } else {
                Ok(())
            };
        }
        read => read?,
    };
    let mut rest = current.as_slice();
    let (Ok(number), Ok(sum), Ok(0), true) = (
        rest.try_get_u64_le(),
        rest.try_get_u128_le(),
        rest.try_get_u8(),
        rest.is_empty(),
    ) else {
        return Err(Damage::new("the file `tree/current` is not whole").into());
    };
    let name = format!("v{number}");
    let list = match fs::read(path.join(&name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Damage::new(format!("the file `tree/{name}` is missing")).into());
        }
        read => read?,
    };
    if checksum::of_tree_file(&list) != sum {
        return Err(Damage::new(format!("the file `tree/{name}` does not match its checksum")).into());
    }
    Ok(())
}

/// Why the tree cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    /// What is stored is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk does not let it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<lsm_tree::Error> for TreeError {
    fn from(error: lsm_tree::Error) -> Self {
        match error {
            // A file that is too short or says impossible things was cut or changed.
            lsm_tree::Error::Io(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                ) =>
            {
                Self::Io(error)
            }
            other => Self::Damaged(Damage::new(format!("in the tree: {other}"))),
        }
    }
}
