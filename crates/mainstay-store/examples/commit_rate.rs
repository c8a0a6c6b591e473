//! How fast the embedded store commits: `cargo run --release -p mainstay-store --example commit_rate [FOLDER] [SECONDS]`.
//!
//! Prints the disk's fdatasync time first, then single-client latency, then 64 clients, each waiting for durability, values
//! of 256 bytes. A developer's instrument; the comparison with peers is `cargo xtask bench`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an instrument on a terminal"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::{Batch, Key, Store, Value};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder: PathBuf = arguments
        .next()
        .unwrap_or_else(|| "target/commit_rate".into())
        .into();
    let seconds = arguments.next().map_or(5, |seconds| seconds.parse().unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    report("fdatasync, 4 KiB appended", fdatasync(&folder.join("probe")));

    let path = folder.join("store");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let store = Arc::new(Embedded::open(&Options::new(&path)).unwrap());
    for clients in [1, 8, 64, 256] {
        let cpu = cpu_seconds();
        let began = Instant::now();
        let latencies = runtime.block_on(load(&store, clients, Duration::from_secs(seconds)));
        let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
        let cpu = (cpu_seconds() - cpu) * 1e6 / latencies.len() as f64;
        report(
            &format!("{clients} clients: {rate:.0} commits/s, {cpu:.1} us CPU each"),
            latencies,
        );
    }
    drop(store);
    let began = Instant::now();
    let store = Embedded::open(&Options::new(&path)).unwrap();
    println!("open: {:?}", began.elapsed());
    let keys = [key(0, 0)];
    let began = Instant::now();
    let reads = 200_000;
    runtime.block_on(async {
        for _ in 0..reads {
            store.read(&keys).await.unwrap();
        }
    });
    println!("read of one key: {:?} each", began.elapsed() / reads);
}

async fn load(store: &Arc<Embedded>, clients: u64, time: Duration) -> Vec<Duration> {
    static RUN: AtomicU64 = AtomicU64::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let end = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let store = store.clone();
        tasks.spawn(async move {
            let value = Value::new(vec![b'x'; 256]).unwrap();
            let mut latencies = Vec::new();
            let mut number = 0;
            while Instant::now() < end {
                let mut batch = Batch::new();
                batch.put(key(run << 32 | client, number), value.clone());
                let began = Instant::now();
                store.commit(batch).await.unwrap();
                latencies.push(began.elapsed());
                number += 1;
            }
            latencies
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Spread over the key space, as hashed names are.
fn key(client: u64, number: u64) -> Key {
    let mixed = (client << 40 | number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Key::new(format!("key/{mixed:016x}")).unwrap()
}

fn fdatasync(path: &Path) -> Vec<Duration> {
    let mut file = File::create(path).unwrap();
    let block = [7; 4_096];
    let syncs = (0..2_000).map(|_| {
        file.write_all(&block).unwrap();
        let began = Instant::now();
        file.sync_data().unwrap();
        began.elapsed()
    });
    syncs.collect()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// CPU time of this process so far, from `/proc/self/stat` in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}
