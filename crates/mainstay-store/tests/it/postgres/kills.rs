//! Two processes work on one database. The server and the processes are killed, again and again, and nothing that was
//! acknowledged is lost.
//!
//! A process is this test binary once more, with clients that note what they do in a file (see `crate::events`). After each
//! kill every process that lives must commit again by itself. In the end all commits without an answer are settled by
//! their tokens, everything is looked at, and the history checker judges what all processes noted.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, SplitMix64};
use mainstay_postgres::test_server::TestServer;
use mainstay_store::Store;
use mainstay_store::conformance::workload::{Client, OperationId, Plan};
use mainstay_store::history::{Outcome, Summary};
use mainstay_store::postgres::{Options, Postgres};

use crate::events::{self, Events};

/// Tells the process where to work; the number tells it which operations are its own.
const FOLDER: &str = "MAINSTAY_STORE_NODE_FOLDER";
const URL: &str = "MAINSTAY_STORE_NODE_URL";
const FIRST_ID: &str = "MAINSTAY_STORE_NODE_FIRST_ID";

/// How often something is killed; more on request.
const KILLS: &str = "MAINSTAY_STORE_KILLS";
const DEFAULT_KILLS: u64 = 12;
const SEED: &str = "MAINSTAY_STORE_SEED";

/// Identifiers that one process may use.
const IDS_PER_NODE: u64 = 1 << 32;

const NODES: usize = 2;
const CLIENTS: u64 = 4;

/// Commits that every process must be able to make after each kill, at least and at most.
const COMMITS: (u64, u64) = (20, 200);

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client waits when the store refuses it.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_and_killed_processes_lose_nothing_that_was_acknowledged() {
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap());
    let seed = std::env::var(SEED).map_or(20_261_120, |seed| seed.parse().unwrap());
    let mut rng = SplitMix64::new(seed);
    let Some(mut server) = TestServer::start_if_available().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = server.url();
    let mut nodes = Nodes::start(folder.path(), &url);
    nodes.commit_again(&mut rng, "at first").await;
    for kill in 1..=kills {
        // Each kind of kill in its turn; which process it hits is left to the seed.
        let node = rng.below(NODES as u64) as usize;
        if kill % 3 != 2 {
            server.crash();
        }
        if kill % 3 != 1 {
            nodes.kill(node);
        }
        if kill % 3 != 2 {
            server.resume().await;
        }
        nodes.revive();
        nodes
            .commit_again(&mut rng, &format!("seed {seed}, kill {kill}"))
            .await;
    }
    drop(nodes);
    let summary = settle_and_check(folder.path(), &server).await;
    assert!(summary.commits as u64 > kills * COMMITS.0, "{summary:?}");
    assert!(
        summary.unknown > 0,
        "no commit was under way at any kill: {summary:?}"
    );
    println!("{kills} kills: {summary:?}");
}

/// The processes; when they are dropped, they are killed.
struct Nodes<'a> {
    folder: &'a Path,
    url: &'a str,
    next_id: u64,
    running: Vec<Option<Node>>,
}

struct Node {
    process: Child,
    first_id: u64,
}

impl<'a> Nodes<'a> {
    fn start(folder: &'a Path, url: &'a str) -> Self {
        let mut nodes = Self {
            folder,
            url,
            next_id: IDS_PER_NODE,
            running: (0..NODES).map(|_| None).collect(),
        };
        nodes.revive();
        nodes
    }

    /// Starts a process wherever there is none.
    fn revive(&mut self) {
        for slot in self.running.iter_mut().filter(|slot| slot.is_none()) {
            *slot = Some(Node::start(self.folder, self.url, self.next_id));
            self.next_id += IDS_PER_NODE;
        }
    }

    fn kill(&mut self, node: usize) {
        self.running[node] = None;
    }

    /// Waits until every process has committed so much after this moment.
    async fn commit_again(&mut self, rng: &mut SplitMix64, when: &str) {
        let file = events_file(self.folder);
        let begin = events::length(&file);
        let wanted = COMMITS.0 + rng.below(COMMITS.1 - COMMITS.0);
        for node in self.running.iter_mut().flatten() {
            let numbers = node.first_id..node.first_id + IDS_PER_NODE;
            let committing = async {
                while events::commits(&file, begin, &numbers) < wanted {
                    let ended = node.process.try_wait().unwrap();
                    assert!(ended.is_none(), "{when}: a process ended: {ended:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let in_time = tokio::time::timeout(PATIENCE, committing).await.is_ok();
            assert!(in_time, "{when}: a process does not commit any more");
        }
    }
}

impl Node {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test kills a process, and starts it for that"
    )]
    fn start(folder: &Path, url: &str, first_id: u64) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::kills::node"])
            .env(FOLDER, folder)
            .env(URL, url)
            .env(FIRST_ID, first_id.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, first_id }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn events_file(folder: &Path) -> PathBuf {
    folder.join("events")
}

fn store_options(url: &str) -> Options {
    let mut options = Options::new(url).unwrap();
    options.read_connections = 2;
    options
}

/// Finds out about what was under way, and judges everything.
async fn settle_and_check(folder: &Path, server: &TestServer) -> Summary {
    // What a killed process has sent goes on in the server; its token tells nothing before that is decided.
    let client = server.connect().await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let gone = async {
        while client.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(Postgres::open(store_options(&server.url())).await.unwrap());
    let events = Events::open(&events_file(folder));
    for (id, plan) in events.open_commits() {
        let outcome = events.commit(&store, id, &plan).await;
        assert!(
            matches!(outcome, Outcome::Committed(_) | Outcome::Conflict(_)),
            "{outcome:?}"
        );
    }
    Client::new(store.clone(), 0).look(&events).await;
    let verdict = events.history().check();
    verdict.unwrap_or_else(|violation| panic!("{violation}"))
}

/// What a killed process does; nothing when it is run as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    end_with_parent();
    let url = std::env::var(URL).unwrap();
    let first_id: u64 = std::env::var(FIRST_ID).unwrap().parse().unwrap();
    let store: Arc<dyn Store> = Arc::new(Postgres::open(store_options(&url)).await.unwrap());
    let events = Arc::new(Events::open_from(&events_file(&folder), first_id));
    let ids = Arc::new(AtomicU64::new(first_id));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (store, events, ids) = (store.clone(), events.clone(), ids.clone());
        clients.spawn(async move {
            let mut client = Client::new(store.clone(), first_id + number);
            loop {
                if client.is_curious() {
                    client.look(events.as_ref()).await;
                }
                match client.plan(events.as_ref()).await {
                    Some(plan) => {
                        let id = OperationId(ids.fetch_add(1, Ordering::Relaxed));
                        commit_until_known(&store, &events, id, &plan).await;
                    }
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        });
    }
    clients.join_all().await;
}

/// Commits, again if the outcome is unknown; then a refusal tells nothing either.
async fn commit_until_known(store: &Arc<dyn Store>, events: &Events, id: OperationId, plan: &Plan) {
    let mut is_unknown = false;
    loop {
        match events.commit(store, id, plan).await {
            Outcome::Committed(_) | Outcome::Conflict(_) => return,
            Outcome::Unknown => is_unknown = true,
            Outcome::Refused => tokio::time::sleep(PAUSE).await,
        }
        if !is_unknown {
            return;
        }
    }
}

/// Ends this process when the one that started it is gone, however that came about.
fn end_with_parent() {
    std::thread::spawn(|| {
        // It never says anything.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}
