//! The PostgreSQL adapter, against a real server that is started here.

mod outages;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_store::Store;
use mainstay_store::conformance::Subject;
use mainstay_store::postgres::{Options, Postgres};
use tokio::sync::OnceCell;

use self::server::Server;

/// One server for all tests that leave it running; each has a schema of its own. `None` where it is not installed.
async fn shared() -> Option<&'static Server> {
    static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
    SERVER.get_or_init(Server::start_new).await.as_ref()
}

/// The name of a schema that nobody else uses.
fn new_schema() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn open(options: &Options) -> Arc<Postgres> {
    let mut options = options.clone();
    options.read_connections = 2;
    Arc::new(Postgres::open(options).await.unwrap())
}

/// A store in a schema of its own.
struct OnServer {
    options: Options,
    store: Option<Arc<Postgres>>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        shared().await.is_some()
    }

    async fn open() -> Self {
        let server = shared().await.unwrap();
        let options = server.options(&new_schema());
        let store = Some(open(&options).await);
        Self { options, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn restart(&mut self) {
        drop(self.store.take());
        self.store = Some(open(&self.options).await);
    }
}

mod as_it_is {
    mainstay_store::conformance_suite!(super::OnServer);
}
