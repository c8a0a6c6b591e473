//! A process that uses the store is killed, again and again, and nothing that was acknowledged is lost.
//!
//! The process is this test binary once more, with eight clients that note what they do in a file. Each note is one write
//! to the system, so it outlives the process. After each kill the store is opened here: every commit without an answer is
//! settled by its token, everything is looked at, and in the end the history checker judges all rounds together. A copy of
//! the store, which is killed with it, has to become what the store is.

pub(crate) mod copy;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, SplitMix64};
use mainstay_store::conformance::workload::{Client, OperationId};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::history::Summary;
use mainstay_store::{Store, Version};

use crate::events::{self, Events};

/// Tells the child where to work; the number tells it which operations are its own.
pub(crate) const FOLDER: &str = "MAINSTAY_STORE_CRASH_FOLDER";
pub(crate) const FIRST_ID: &str = "MAINSTAY_STORE_CRASH_FIRST_ID";

/// After how many commits the child ends by itself; never, if it is not set.
pub(crate) const COMMITS: &str = "MAINSTAY_STORE_CRASH_COMMITS";

/// How often the process is killed; more on request.
const KILLS: &str = "MAINSTAY_STORE_KILLS";
const DEFAULT_KILLS: u64 = 8;

/// Identifiers that one child may use.
const IDS_PER_CHILD: u64 = 1 << 32;

/// Where all is that must outlive a crash.
pub(crate) fn disk(folder: &Path) -> PathBuf {
    folder.join("disk")
}

pub(crate) fn store_options(folder: &Path) -> Options {
    options(&disk(folder).join("store"))
}

fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder);
    // Small, so that flushing and merging are always under way.
    options.memtable_bytes = 64 * 1_024;
    options
}

pub(crate) fn events_file(folder: &Path) -> PathBuf {
    folder.join("events")
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap());
    let seed = 20_261_120;
    let mut rng = SplitMix64::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut summary = Summary::default();
    let mut copied = 0;
    let mut copied_to = Version::ZERO;
    for round in 1..=kills {
        let before = events::length(&events_file(folder.path()));
        let mut child = start(folder.path(), round * IDS_PER_CHILD);
        let target = before + 10_000 + rng.below(200_000);
        let reached = reaches(&mut child, &events_file(folder.path()), target).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "round {round}: the child got nowhere");
        let confirmed;
        (summary, confirmed) = settle_and_check(folder.path(), round).await;
        copied += u64::from(confirmed > copied_to);
        copied_to = confirmed;
    }
    assert!(copied > 0, "the copy never came to anything by itself");
    assert!(summary.commits as u64 > kills * 10, "{summary:?}");
    assert!(
        summary.unknown > 0,
        "no commit was under way at any kill: {summary:?}"
    );
    println!("{kills} kills: {summary:?}");
}

/// Opens the store, finds out about what was under way, and judges everything so far. Says too up to where the copy had
/// come.
pub(crate) async fn settle_and_check(folder: &Path, round: u64) -> (Summary, Version) {
    let embedded =
        Embedded::open(&store_options(folder)).unwrap_or_else(|error| panic!("round {round}: {error}"));
    let embedded = Arc::new(embedded);
    let store: Arc<dyn Store> = embedded.clone();
    let events = Events::open(&events_file(folder));
    for (id, plan) in events.open_commits() {
        events.commit(&store, id, &plan).await;
    }
    Client::new(store.clone(), 0).look(&events).await;
    let verdict = events.history().check();
    let summary = verdict.unwrap_or_else(|violation| panic!("round {round}: {violation}"));
    let copied_to = copy::check(&embedded, folder, round).await;
    (summary, copied_to)
}

/// Waits until the child has noted so much; says whether it did before it gave up.
async fn reaches(child: &mut Child, events: &Path, bytes: u64) -> bool {
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while events::length(events) < bytes {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        true
    });
    patience.await.unwrap_or(false)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test kills a process, and starts it for that"
)]
fn start(folder: &Path, first_id: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child"])
        .env(FOLDER, folder)
        .env(FIRST_ID, first_id.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the killed process does; nothing when it is run as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let first_id: u64 = std::env::var(FIRST_ID).unwrap().parse().unwrap();
    let commits = std::env::var(COMMITS).map_or(u64::MAX, |commits| commits.parse().unwrap());
    let embedded = Arc::new(Embedded::open(&store_options(&folder)).unwrap());
    let copy = Arc::new(Embedded::open(&copy::options(&folder)).unwrap());
    let after = copy::follow(&embedded, &copy).await;
    let following = tokio::spawn(copy::keep_up(embedded.clone(), copy, after));
    let store: Arc<dyn Store> = embedded;
    let events = Arc::new(Events::open(&events_file(&folder)));
    let ids = Arc::new(AtomicU64::new(first_id));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, events, ids) = (store.clone(), events.clone(), ids.clone());
        clients.spawn(async move {
            let mut client = Client::new(store.clone(), first_id + number);
            while ids.load(Ordering::Relaxed) - first_id < commits {
                if client.is_curious() {
                    client.look(events.as_ref()).await;
                }
                if let Some(plan) = client.plan(events.as_ref()).await {
                    let id = OperationId(ids.fetch_add(1, Ordering::Relaxed));
                    events.commit(&store, id, &plan).await;
                }
            }
        });
    }
    clients.join_all().await;
    following.abort();
    // It has let go of the copy when this is done, so that the end is orderly.
    let _ = following.await;
}
