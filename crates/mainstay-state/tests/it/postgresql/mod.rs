//! `state.postgresql`, against a real server that is started here.

mod listing;
mod outages;
mod sharing;
mod sweeping;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_postgres::test_server::{TestServer, shared_if_available as shared};
use mainstay_state::conformance::Subject;
use mainstay_state::postgresql::{Options, Postgresql, TableName};
use mainstay_state::{Consistency, Item, StateStore};

/// The component on tables that nobody else uses.
fn new_options(server: &TestServer) -> Options {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut options = Options::from(server.options());
    options.table = TableName::new(&format!("t{number}_state")).unwrap();
    options.metadata_table = TableName::new(&format!("t{number}_metadata")).unwrap();
    options
}

fn open(options: &Options) -> Arc<Postgresql> {
    Arc::new(Postgresql::new(options).unwrap())
}

async fn item(state: &Postgresql, key: &str) -> Option<Item> {
    let keys = [key.to_owned()];
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    items.into_iter().next().flatten()
}

/// The server has a clock of its own, which no test can move; so what is kept moves the other way.
async fn pass_seconds(server: &TestServer, table: &TableName, seconds: u32) {
    let move_all = format!("UPDATE {table} SET expires_at = expires_at - interval '{seconds} seconds'");
    server.connect().await.batch_execute(&move_all).await.unwrap();
}

struct OnServer {
    server: &'static TestServer,
    table: TableName,
    state: Arc<Postgresql>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        shared().await.is_some()
    }

    async fn open() -> Self {
        let server = shared().await.unwrap();
        let options = new_options(server);
        let state = open(&options);
        state.connect().await.unwrap();
        assert!(state.features().durable);
        Self {
            server,
            table: options.table,
            state,
        }
    }

    fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    async fn pass_seconds(&self, seconds: u32) {
        pass_seconds(self.server, &self.table, seconds).await;
    }

    fn malformed_etag() -> Option<&'static str> {
        None
    }
}

mainstay_state::conformance_suite!(OnServer);
