//! An embedded store with many keys: filled, opened, looked at.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::{Batch, Key, Store, Value};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::puts::{key, value};
use crate::procfs;

const CLIENTS: u64 = 64;

/// What to do with the store.
#[derive(clap::Subcommand)]
pub(crate) enum Keys {
    /// Puts keys in scattered order, then waits to be killed.
    Fill {
        folder: PathBuf,
        #[arg(long)]
        keys: u64,
        /// Puts in one commit.
        #[arg(long)]
        batch: u64,
    },
    /// Opens it, and reads and puts some of its keys.
    Open {
        folder: PathBuf,
        #[arg(long)]
        keys: u64,
        /// How long to read and put for.
        #[arg(long)]
        seconds: f64,
    },
}

/// What was found.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// How long it took to fill or to open it.
    pub(crate) seconds: f64,
    /// Reads per second by one client, of keys that are there.
    pub(crate) reads_per_second: f64,
    /// Resident when it was filled or opened.
    pub(crate) resident_bytes: u64,
    /// The most that was resident at any time.
    pub(crate) peak_resident_bytes: u64,
}

pub(super) async fn run(what: Keys) -> Result<()> {
    let report = match &what {
        Keys::Fill { folder, keys, batch } => fill(folder, *keys, *batch).await?,
        Keys::Open {
            folder,
            keys,
            seconds,
        } => open(folder, *keys, Duration::from_secs_f64(*seconds)).await?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn fill(folder: &Path, keys: u64, batch: u64) -> Result<Report> {
    let store = Arc::new(Embedded::open(&Options::new(folder))?);
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            let mut first = client * batch;
            while first < keys {
                put(&store, first..(first + batch).min(keys), keys).await?;
                first += CLIENTS * batch;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let report = Report {
        seconds: begin.elapsed().as_secs_f64(),
        reads_per_second: 0.0,
        resident_bytes: procfs::resident_bytes(std::process::id())?,
        peak_resident_bytes: procfs::peak_resident_bytes(std::process::id())?,
    };
    println!("{}", serde_json::to_string(&report)?);
    // Killed here, with whatever is under way behind the commits. It must not outlive who reads this.
    let _ = std::io::stdin().read(&mut [0]);
    bail!("it was not killed")
}

async fn put(store: &Embedded, numbers: std::ops::Range<u64>, keys: u64) -> Result<()> {
    let mut batch = Batch::new();
    for number in numbers {
        batch.put(Key::new(key(scattered(number, keys)))?, Value::new(value())?);
    }
    store.commit(batch).await?;
    Ok(())
}

/// Another number below `keys` for each: a step that shares no divisor with a power of ten leaves none out.
fn scattered(number: u64, keys: u64) -> u64 {
    const STEP: u64 = 7_368_787;
    (u128::from(number) * u128::from(STEP) % u128::from(keys)) as u64
}

async fn open(folder: &Path, keys: u64, duration: Duration) -> Result<Report> {
    let begin = Instant::now();
    let store = Embedded::open(&Options::new(folder))?;
    let seconds = begin.elapsed().as_secs_f64();
    let resident_bytes = procfs::resident_bytes(std::process::id())?;
    let begin = Instant::now();
    let mut reads = 0_u32;
    while begin.elapsed() < duration {
        let wanted = [Key::new(key(fastrand::u64(..keys)))?];
        let read = store.read(&wanted).await?;
        if read.values.iter().any(Option::is_none) {
            bail!("a key is not there: {wanted:?}");
        }
        reads += 1;
    }
    let reads_per_second = f64::from(reads) / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let first = fastrand::u64(..keys - 1);
        put(&store, first..first + 1, keys).await?;
    }
    Ok(Report {
        seconds,
        reads_per_second,
        resident_bytes,
        peak_resident_bytes: procfs::peak_resident_bytes(std::process::id())?,
    })
}
