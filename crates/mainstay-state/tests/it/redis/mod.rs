//! `state.redis`, against a real server that is started here.

mod outages;
mod server;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_state::conformance::Subject;
use mainstay_state::redis::{Options, Redis};
use mainstay_state::{Consistency, Item, StateStore};
use redis::AsyncCommands;
use tokio::sync::OnceCell;

use self::server::Server;

/// One server for all tests that leave it as it is; each has a database of its own. `None` where it is not installed.
async fn shared() -> Option<&'static Server> {
    static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
    SERVER.get_or_init(|| Server::start_new(&[])).await.as_ref()
}

/// The number of a database that nobody else uses.
fn new_database() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn open(options: &Options) -> Arc<Redis> {
    Arc::new(Redis::new(options).unwrap())
}

async fn item(state: &Redis, key: &str) -> Option<Item> {
    let keys = [key.to_owned()];
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    items.into_iter().next().flatten()
}

struct OnServer {
    server: &'static Server,
    database: u32,
    state: Arc<Redis>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        shared().await.is_some()
    }

    async fn open() -> Self {
        let (server, database) = (shared().await.unwrap(), new_database());
        let state = open(&server.options(database));
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
        let mut raw = self.server.connect(self.database).await;
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
