//! The PostgreSQL adapter, against a real server that is started here.

mod destroying;
mod encryption;
mod following;
mod kills;
mod moving;
mod outages;
mod refusals;
mod upgrades;

use std::sync::Arc;

use mainstay_postgres::test_server::{TestServer, available, new_schema, shared_if_available as shared};
use mainstay_store::conformance::Subject;
use mainstay_store::conformance::replication::ReplicationSubject;
use mainstay_store::postgres::{Options, Postgres, SchemaName};
use mainstay_store::{Replicated, Store};

/// The store on this server, with the tables in `schema`.
fn options_on(server: &TestServer, schema: &str) -> Options {
    let mut options = Options::new(&server.url()).unwrap();
    options.schema = SchemaName::new(schema).unwrap();
    options
}

async fn open(options: &Options) -> Arc<Postgres> {
    let mut options = options.clone();
    options.read_connections = 2;
    Arc::new(Postgres::open(options).await.unwrap())
}

/// A store in a schema of its own.
pub(crate) struct OnServer {
    options: Options,
    store: Option<Arc<Postgres>>,
}

impl Subject for OnServer {
    async fn is_available() -> bool {
        shared().await.is_some()
    }

    async fn open() -> Self {
        let server = shared().await.unwrap();
        let options = options_on(server, &new_schema());
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

impl ReplicationSubject for OnServer {
    async fn open_keeping(bytes: u64) -> Self {
        let mut options = options_on(shared().await.unwrap(), &new_schema());
        options.max_feed_bytes = bytes;
        let store = Some(open(&options).await);
        Self { options, store }
    }

    fn replicated(&self) -> Arc<dyn Replicated> {
        self.store.clone().unwrap()
    }
}

mod as_it_is {
    mainstay_store::conformance_suite!(super::OnServer);
}

mod replicated {
    mainstay_store::replication_suite!(super::OnServer, super::OnServer);
}

/// As above, but a restart is one of the server, which is killed.
struct OnKilledServer {
    server: TestServer,
    store: Option<Arc<Postgres>>,
}

impl Subject for OnKilledServer {
    async fn is_available() -> bool {
        available()
    }

    async fn open() -> Self {
        let server = TestServer::start().await;
        let store = Some(open(&options_on(&server, "mainstay")).await);
        Self { server, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn restart(&mut self) {
        drop(self.store.take());
        self.server.crash();
        self.server.resume().await;
        self.store = Some(open(&options_on(&self.server, "mainstay")).await);
    }
}

impl ReplicationSubject for OnKilledServer {
    async fn open_keeping(bytes: u64) -> Self {
        let server = TestServer::start().await;
        let mut options = options_on(&server, "mainstay");
        options.max_feed_bytes = bytes;
        let store = Some(open(&options).await);
        Self { server, store }
    }

    fn replicated(&self) -> Arc<dyn Replicated> {
        self.store.clone().unwrap()
    }
}

mod killed {
    use mainstay_store::conformance::replication::{copies, feed, moves, roles};
    use mainstay_store::conformance::{Subject, concurrency, durability, limits, tokens};

    use super::{OnKilledServer, OnServer};

    /// Those that restart, one after another: each makes a server.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_restarts_also_holds_when_the_server_is_killed() {
        if !OnKilledServer::is_available().await {
            return;
        }
        tokens::a_token_outlives_a_restart(&mut OnKilledServer::open().await).await;
        durability::what_was_answered_is_there_after_a_restart(&mut OnKilledServer::open().await).await;
        durability::versions_grow_over_restarts(&mut OnKilledServer::open().await).await;
        limits::the_largest_fit(&mut OnKilledServer::open().await).await;
        concurrency::histories_are_strictly_serialisable(&mut OnKilledServer::open().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn copies_and_followers_outlive_a_killed_server() {
        if !OnKilledServer::is_available().await {
            return;
        }
        let mut unused = OnServer::open().await;
        feed::followers_and_changes_outlive_restarts(&mut OnKilledServer::open().await, &mut unused).await;
        roles::roles_outlive_restarts(&mut OnKilledServer::open().await, &mut unused).await;
        copies::what_is_copied_keeps_its_version(&mut unused, &mut OnKilledServer::open().await).await;
        let (mut source, mut target) = (OnKilledServer::open().await, OnKilledServer::open().await);
        moves::a_copy_is_resumed_after_restarts(&mut source, &mut target).await;
    }
}
