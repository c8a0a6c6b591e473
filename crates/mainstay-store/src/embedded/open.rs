//! Opening a store: check that all of it is there, read the log into the tree's memory, start the threads.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;

use super::committer::{Committer, Sweeping};
use super::directory::{self, Directory};
use super::error::OpenError;
use super::line::Line;
use super::log::file::Medium;
use super::log::frame;
use super::log::mark::{Mark, MarkFile};
use super::log::recovery::{self, End};
use super::log::writer::Writer;
use super::options::Options;
use super::pace::Pace;
use super::queue::Queue;
use super::recent::Recent;
use super::snapshots::{Place, Snapshots};
use super::tokens::{self, Generations};
use super::tree::{LATEST, Tree, TreeError};
use super::upkeep::{Room, Upkeep};
use super::{Embedded, Reader};
use crate::version::{HybridClock, Version};
use crate::watch::Watchers;

pub(super) fn open(options: &Options, medium: impl Fn() -> Box<dyn Medium>) -> Result<Embedded, OpenError> {
    let path = &options.path;
    let pace = Arc::new(Pace::new(options.clock.clone()));
    let directory = Directory::open(path, |data| fill(path, data, options, medium(), pace.clone()))?;
    let mut marks = MarkFile::open(&directory.mark())
        .map_err(OpenError::at(&directory.mark()))?
        .ok_or_else(|| OpenError::damaged(path, "the file `data/MARK` is missing or not whole"))?;
    let tree = Tree::open(&directory.tree(), options.cache_bytes, pace.clone()).map_err(of_tree(path))?;
    let (end, number) = replay(path, &directory, &tree, marks.get())?;
    let log = begin_log(&directory, &tree, &mut marks, end, number, medium())?;

    tree.reserve(number);
    let generation = tokens::latest_generation(&tree, LATEST).map_err(of_tree(path))?;
    let line = Line::open(&tree, number, options.max_feed_bytes).map_err(of_tree(path))?;
    let snapshots = Arc::new(Snapshots::new(Place {
        bound: tree.next_number(),
        version: line.last,
    }));
    let queue = Arc::new(Queue::new(options.queue_batches, options.queue_bytes));
    let watchers = Arc::new(Watchers::default());
    let upkeep = Arc::new(Upkeep::new(
        tree.clone(),
        snapshots.clone(),
        queue.clone(),
        pace,
        marks,
        Room {
            folder: directory.log(),
            medium: medium(),
            bytes: options.memtable_bytes,
            present: log.number(),
        },
    ));
    if tree.sealed_count() > 0 {
        upkeep.sealed(end.file);
    }
    upkeep.should_compact();
    let committer = Committer {
        queue: queue.clone(),
        upkeep: upkeep.clone(),
        snapshots: snapshots.clone(),
        watchers: watchers.clone(),
        tree: tree.clone(),
        log,
        recent: Recent::after(line.last),
        hybrid_clock: HybridClock::after(Version::from_u64(number)),
        number,
        line,
        generations: Generations::resume(generation, options.clock.now()),
        sweeping: Sweeping::default(),
        clock: options.clock.clone(),
        wall_clock: options.wall_clock.clone(),
        memtable_bytes: options.memtable_bytes,
        buffer: BytesMut::new(),
        stopped: None,
    };
    let store = Embedded {
        reader: Reader { tree, snapshots },
        queue,
        upkeep: upkeep.clone(),
        watchers,
        committer: Mutex::default(),
        helpers: Mutex::default(),
        _directory: directory,
    };
    start(store, committer, upkeep).map_err(OpenError::at(path))
}

/// An empty store.
fn fill(
    path: &Path,
    data: &Path,
    options: &Options,
    medium: Box<dyn Medium>,
    pace: Arc<Pace>,
) -> Result<(), OpenError> {
    let log = directory::log(data);
    fs::create_dir(&log).map_err(OpenError::at(&log))?;
    let writer = Writer::begin(&log, medium, 1, 0).map_err(OpenError::at(&log))?;
    let mark = Mark {
        first_file: 1,
        last_file: writer.number(),
        durable_bytes: writer.durable_bytes(),
        number: 0,
    };
    let name = directory::mark(data);
    MarkFile::create(&name, mark).map_err(OpenError::at(&name))?;
    Tree::open(&directory::tree(data), options.cache_bytes, pace).map_err(of_tree(path))?;
    Ok(())
}

/// Reads the log into the tree's memory, as far as it is not in the tree's files. Gives the end of the log, and the
/// latest number that was ever given out.
fn replay(path: &Path, directory: &Directory, tree: &Tree, mark: Mark) -> Result<(End, u64), OpenError> {
    let flushed = tree.flushed();
    let mut latest = flushed.max(mark.number);
    let end = recovery::recover(path, &directory.log(), mark, |record| {
        latest = latest.max(record.number);
        if record.number > flushed {
            tree.apply(&record);
        }
    })?;
    Ok((end, latest))
}

/// Begins a new log file behind what was found.
fn begin_log(
    directory: &Directory,
    tree: &Tree,
    marks: &mut MarkFile,
    end: End,
    number: u64,
    medium: Box<dyn Medium>,
) -> Result<Writer, OpenError> {
    let folder = directory.log();
    let log =
        Writer::begin(&folder, medium, end.file + 1, end.whole_bytes).map_err(OpenError::at(&folder))?;
    tree.seal();
    let is_all_flushed = tree.sealed_count() == 0;
    let mark = Mark {
        first_file: if is_all_flushed {
            log.number()
        } else {
            marks.get().first_file
        },
        last_file: log.number(),
        durable_bytes: frame::HEAD_BYTES as u64,
        number,
    };
    marks
        .write(mark)
        .and_then(|()| marks.sync())
        .and_then(|()| recovery::remove_before(&folder, mark.first_file))
        .map_err(OpenError::at(&folder))?;
    Ok(log)
}

fn start(store: Embedded, committer: Committer, upkeep: Arc<Upkeep>) -> std::io::Result<Embedded> {
    let flusher = upkeep.clone();
    let spawn =
        |name: &str, work: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.to_owned()).spawn(work);
    let helpers = [
        spawn("store-flush", Box::new(move || flusher.flush_until_closed()))?,
        spawn("store-compact", Box::new(move || upkeep.compact_until_closed()))?,
    ];
    let committer = spawn("store-commit", Box::new(move || committer.run()))?;
    if let Ok(mut slot) = store.committer.lock() {
        *slot = Some(committer);
    }
    if let Ok(mut slot) = store.helpers.lock() {
        slot.extend(helpers);
    }
    Ok(store)
}

fn of_tree(path: &Path) -> impl FnOnce(TreeError) -> OpenError + '_ {
    move |error| match error {
        TreeError::Damaged(damage) => OpenError::Damaged {
            path: path.to_owned(),
            damage,
        },
        TreeError::Io(error) => OpenError::at(path)(error),
    }
}
