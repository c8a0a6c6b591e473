//! The power is cut at every moment, and nothing that was acknowledged is lost.
//!
//! A process that uses a store, and a copy of it, runs once under `strace`, which records every write and every sync. From the record, disks
//! are built as they could be after a power cut at any moment: what was not synced is lost, torn or out of order. Each is
//! opened, what was under way is settled by its token, and the history checker judges what clients had been told until
//! then together with what is found. The copy has to become what the store is.

mod disk;
mod trace;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mainstay_base::{Rng, SplitMix64};
use mainstay_store::embedded::Embedded;

use self::disk::{Cut, Disk};
use self::trace::Operation;
use crate::crash;

/// How many disks are built; more on request.
const IMAGES: &str = "MAINSTAY_STORE_IMAGES";
const DEFAULT_IMAGES: u64 = 300;

/// Commits that are recorded: enough for dozens of flushes and merges.
const COMMITS: u64 = 1_500;

/// Fixes what clients do, the choice of moments and of what is lost.
const SEED: &str = "MAINSTAY_STORE_SEED";

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let images = std::env::var(IMAGES).map_or(DEFAULT_IMAGES, |images| images.parse().unwrap());
    let seed = std::env::var(SEED).map_or(20_261_120, |seed| seed.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    // The record names folders by where they really are.
    let path = folder.path().canonicalize().unwrap();
    drop(Embedded::open(&crash::store_options(&path)).unwrap());
    drop(Embedded::open(&crash::copy::options(&path)).unwrap());
    let recorded = crash::disk(&path);
    let before = Disk::with_files(&recorded);
    let operations = record(&path, seed);
    let mut whole = before.clone();
    for operation in operations
        .iter()
        .filter(|operation| concerns(operation, &recorded))
    {
        whole.apply(operation);
    }
    whole.assert_is_like(&recorded);

    let mut rng = SplitMix64::new(seed);
    let mut moments: Vec<usize> = (0..images).map(|_| moment(&operations, &mut rng)).collect();
    moments.sort_unstable();
    let lab = Lab::new(&path);
    let mut disk = before;
    let mut notes = Vec::new();
    let mut done = 0;
    for (number, moment) in moments.into_iter().enumerate() {
        for operation in &operations[done..moment] {
            match operation {
                Operation::Write { path, bytes, .. } if *path == lab.events => notes.extend_from_slice(bytes),
                operation if concerns(operation, &lab.recorded) => disk.apply(operation),
                _ => {}
            }
        }
        done = moment;
        let cut = [Cut::Nothing, Cut::Everything, Cut::Some, Cut::Any][number % 4];
        println!(
            "image {number} of seed {seed}: {cut:?} after {moment} operations, dirty: {}",
            disk.is_dirty()
        );
        lab.check(&disk, cut, &notes, &mut rng, number as u64).await;
    }
}

/// A moment right after something was written or synced in a store; those just before a sync are chosen more often.
fn moment(operations: &[Operation], rng: &mut SplitMix64) -> usize {
    let any = 1 + rng.below(operations.len() as u64) as usize;
    let rest = &operations[any - 1..];
    let sync = rest
        .iter()
        .position(|operation| matches!(operation, Operation::Sync { .. }));
    match (rng.below(3), sync) {
        (0, _) | (_, None) => any,
        (1, Some(sync)) => any - 1 + sync,
        (_, Some(sync)) => any + sync,
    }
}

fn concerns(operation: &Operation, folder: &Path) -> bool {
    let path = match operation {
        Operation::Open { path, .. }
        | Operation::Write { path, .. }
        | Operation::SetLength { path, .. }
        | Operation::Rename { to: path, .. }
        | Operation::Remove { path }
        | Operation::Sync { path } => path,
    };
    path.starts_with(folder)
}

/// Where images are built and opened: in memory if possible, since nothing has to last.
struct Lab {
    folder: tempfile::TempDir,
    /// What the disk holds.
    recorded: PathBuf,
    events: PathBuf,
}

impl Lab {
    fn new(recorded: &Path) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        Self {
            folder: folder.unwrap(),
            recorded: crash::disk(recorded),
            events: crash::events_file(recorded),
        }
    }

    async fn check(&self, disk: &Disk, cut: Cut, notes: &[u8], rng: &mut SplitMix64, number: u64) {
        let image = self.folder.path().join(number.to_string());
        disk.build(cut, rng, &self.recorded, &crash::disk(&image));
        std::fs::write(crash::events_file(&image), notes).unwrap();
        crash::settle_and_check(&image, number).await;
        std::fs::remove_dir_all(&image).unwrap();
    }
}

/// Runs the process that uses the store and records what it does to files.
#[expect(
    clippy::disallowed_methods,
    reason = "the test records a process, and starts it for that"
)]
fn record(folder: &Path, seed: u64) -> Vec<Operation> {
    let record = folder.join("record");
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "100000000", "-e"])
        .arg(format!("trace={}", trace::CALLS))
        .arg("-o")
        .arg(&record)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child"])
        .env(crash::FOLDER, folder)
        // Clients decide by the numbers of their operations.
        .env(crash::FIRST_ID, ((seed + 1) << 20).to_string())
        .env(crash::COMMITS, COMMITS.to_string())
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("strace is needed (apt-get install strace): {error}"));
    assert!(status.success(), "{status}");
    let operations = trace::parse(&std::fs::read_to_string(&record).unwrap());
    std::fs::remove_file(record).unwrap();
    operations
}
