//! `state.redis`, against a real server that is started here.

mod listing;
mod outages;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_redis::redis::aio::MultiplexedConnection;
use mainstay_redis::redis::{AsyncCommands, Client};
use mainstay_redis::test_server::{TestServer, available};
use mainstay_state::conformance::Subject;
use mainstay_state::redis::{Options, Redis};
use mainstay_state::{Consistency, Item, StateStore};
use tokio::sync::OnceCell;

/// A server that forgets nothing when it is killed.
const DURABLE: &[&str] = &[
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--databases",
    "256",
];

/// A server of its own for a test, with these settings besides; `None` where Redis is not installed.
async fn start(settings: &[&str]) -> Option<TestServer> {
    if !available() {
        return None;
    }
    Some(TestServer::start_with(&[DURABLE, settings].concat()).await)
}

/// One server for all tests that leave it as it is; each has a database of its own.
async fn shared() -> Option<&'static TestServer> {
    static SERVER: OnceCell<Option<TestServer>> = OnceCell::const_new();
    SERVER.get_or_init(|| start(&[])).await.as_ref()
}

/// How to reach one of a server's databases.
fn options(server: &TestServer, database: u32) -> Options {
    let mut options = Options::from(server.options());
    options.server.database = database;
    options
}

/// A connection past the component.
async fn connect(server: &TestServer, database: u32) -> MultiplexedConnection {
    let url = format!("redis://127.0.0.1:{}/{database}", server.port());
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The number of a database that nobody else uses.
fn new_database() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn open(options: Options) -> Arc<Redis> {
    Arc::new(Redis::new(options).unwrap())
}

async fn item(state: &Redis, key: &str) -> Option<Item> {
    let keys = [key.to_owned()];
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    items.into_iter().next().flatten()
}

struct OnServer {
    server: &'static TestServer,
    database: u32,
    state: Arc<Redis>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        shared().await.is_some()
    }

    async fn open() -> Self {
        let (server, database) = (shared().await.unwrap(), new_database());
        let state = open(options(server, database));
        state.connect().await.unwrap();
        assert!(state.features().durable);
        Self {
            server,
            database,
            state,
        }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    /// The server has a clock of its own, which no test can move; so what is kept moves the other way.
    async fn pass_seconds(&self, seconds: u32) {
        let mut raw = connect(self.server, self.database).await;
        let keys: Vec<String> = raw.keys("*").await.unwrap();
        for key in keys {
            let left_ms: i64 = raw.pttl(&key).await.unwrap();
            if left_ms >= 0 {
                let left_ms = left_ms - i64::from(seconds) * 1_000;
                let _: () = raw.pexpire(&key, left_ms).await.unwrap();
            }
        }
    }

    fn malformed_etag() -> Option<&'static str> {
        Some("not a version")
    }
}

mainstay_state::conformance_suite!(OnServer);
