//! `configuration.postgresql`: the conformance suite on a real PostgreSQL with Dapr's table and trigger, and when it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_configuration::conformance::Subject;
use mainstay_configuration::{
    ConfigurationError, ConfigurationStore, Metadata, OnPostgres, Table, conformance_suite,
};
use mainstay_postgres::test_server::{TestServer, available, shared};
use mainstay_postgres::{Options, Postgres, PostgresError};

const PATIENCE: Duration = Duration::from_secs(20);

/// A table with a trigger that notifies on a channel of its name.
struct OnServer {
    postgres: Postgres,
    table: String,
    configuration: OnPostgres,
    versions: AtomicU64,
}

impl OnServer {
    async fn on(options: Options) -> Self {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let table = format!("settings_{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let postgres = Postgres::connect(options).await.unwrap();
        for statement in [
            format!("CREATE TABLE {table} (KEY VARCHAR NOT NULL, VALUE VARCHAR NOT NULL, VERSION VARCHAR NOT NULL, METADATA JSON)"),
            format!(
                "CREATE FUNCTION notify_{table}() RETURNS TRIGGER AS $$
                 DECLARE row json;
                 BEGIN
                     IF TG_OP = 'DELETE' THEN row = row_to_json(OLD); ELSE row = row_to_json(NEW); END IF;
                     PERFORM pg_notify('{table}', json_build_object('table', TG_TABLE_NAME, 'action', TG_OP, 'data', row)::text);
                     RETURN NULL;
                 END $$ LANGUAGE plpgsql"
            ),
            format!(
                "CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON {table}
                 FOR EACH ROW EXECUTE FUNCTION notify_{table}()"
            ),
        ] {
            postgres.query(&statement, &[]).await.unwrap();
        }
        let configuration = OnPostgres::open(postgres.clone(), Table::new(&table).unwrap())
            .await
            .unwrap();
        Self {
            postgres,
            table,
            configuration,
            versions: AtomicU64::new(0),
        }
    }

    async fn execute(&self, statement: &str, parameters: &[&str]) {
        let statement = statement.replace("{table}", &self.table);
        let parameters: Vec<_> = parameters.iter().map(|text| text as _).collect();
        self.postgres.query(&statement, &parameters).await.unwrap();
    }
}

impl Subject for OnServer {
    fn available() -> bool {
        available()
    }

    async fn open() -> Self {
        Self::on(shared().await.options()).await
    }

    fn configuration(&self) -> Arc<dyn ConfigurationStore> {
        Arc::new(self.configuration.clone())
    }

    fn subscription_metadata(&self) -> Metadata {
        Metadata::from([("PgNotifyChannel".to_owned(), self.table.clone())])
    }

    async fn set(&self, key: &str, value: &str) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed).to_string();
        let statement =
            "WITH changed AS (UPDATE {table} SET value = $2, version = $3 WHERE key = $1 RETURNING 1)
             INSERT INTO {table} SELECT $1, $2, $3, NULL WHERE NOT EXISTS (SELECT FROM changed)";
        self.execute(statement, &[key, value, &version]).await;
    }

    async fn delete(&self, key: &str) {
        self.execute("DELETE FROM {table} WHERE key = $1", &[key]).await;
    }
}

conformance_suite!(OnServer);

#[tokio::test]
async fn items_have_versions_and_metadata() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    let statement = r#"INSERT INTO {table} VALUES ($1, 'v', '7', '{"unit": "ms"}')"#;
    subject.execute(statement, &["a"]).await;
    let items = subject.configuration.get(&[]).await.unwrap();
    assert_eq!(
        (items["a"].value.as_str(), items["a"].version.as_str()),
        ("v", "7")
    );
    assert_eq!(items["a"].metadata["unit"], "ms");
}

#[tokio::test]
async fn what_is_missing_is_told() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    let nameless = subject
        .configuration
        .subscribe(Vec::new(), &Metadata::new())
        .await;
    assert_eq!(nameless.unwrap_err(), ConfigurationError::NoChannel);
    let missing = OnPostgres::open(subject.postgres, Table::new("nowhere").unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(missing, ConfigurationError::Postgres(PostgresError::Refused(_))),
        "{missing}"
    );
}

#[tokio::test]
async fn what_happened_while_the_server_was_gone_is_told() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let subject = OnServer::on(server.options()).await;
    subject.set("a", "1").await;
    let metadata = subject.subscription_metadata();
    let mut subscription = subject
        .configuration
        .subscribe(Vec::new(), &metadata)
        .await
        .unwrap();
    server.stop();
    server.resume().await;
    subject.set("a", "2").await;
    let told = async {
        loop {
            // Reading may fail until the connection is there again.
            match subscription.changed().await {
                Ok(changes) => return changes,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let changes = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(changes["a"].as_ref().unwrap().value, "2");
}
