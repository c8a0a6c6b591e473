//! `configuration.redis`: the conformance suite on a real Redis, Dapr's form of values, and when Redis goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_configuration::conformance::Subject;
use mainstay_configuration::{ConfigurationStore, Metadata, OnRedis, conformance_suite};
use mainstay_redis::Redis;
use mainstay_redis::redis::cmd;
use mainstay_redis::test_server::{TestServer, available};

const PATIENCE: Duration = Duration::from_secs(20);

struct OnServer {
    redis: Redis,
    configuration: OnRedis,
    versions: AtomicU64,
    server: TestServer,
}

impl OnServer {
    async fn put(&self, key: &str, text: &str) {
        put(&self.redis, key, text).await;
    }

    async fn notifications(&self) -> String {
        let ask = cmd("CONFIG").arg("GET").arg("notify-keyspace-events").to_owned();
        let mut settings: HashMap<String, String> = self.redis.run(&ask).await.unwrap();
        settings.remove("notify-keyspace-events").unwrap()
    }
}

async fn put(redis: &Redis, key: &str, text: &str) {
    redis.run::<()>(cmd("SET").arg(key).arg(text)).await.unwrap();
}

impl Subject for OnServer {
    fn available() -> bool {
        available()
    }

    async fn open() -> Self {
        let server = TestServer::start().await;
        let redis = server.connect().await;
        let configuration = OnRedis::new(redis.clone());
        Self {
            redis,
            configuration,
            versions: AtomicU64::new(0),
            server,
        }
    }

    fn configuration(&self) -> Arc<dyn ConfigurationStore> {
        Arc::new(self.configuration.clone())
    }

    async fn set(&self, key: &str, value: &str) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        self.put(key, &format!("{value}||{version}")).await;
    }

    async fn delete(&self, key: &str) {
        self.redis.run::<i64>(cmd("DEL").arg(key)).await.unwrap();
    }
}

conformance_suite!(OnServer);

#[tokio::test]
async fn values_and_versions_are_those_of_dapr() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    subject.put("plain", "1").await;
    subject.put("versioned", "1||v7").await;
    subject
        .redis
        .run::<i64>(cmd("LPUSH").arg("list").arg("x"))
        .await
        .unwrap();
    subject
        .redis
        .run::<()>(cmd("SET").arg("binary").arg(&[0xff_u8][..]))
        .await
        .unwrap();
    let items = subject.configuration.get(&[]).await.unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|(key, item)| (key.as_str(), item.value.as_str(), item.version.as_str()))
        .collect();
    assert_eq!(shown, [("plain", "1", ""), ("versioned", "1", "v7")]);
}

#[tokio::test]
async fn more_than_one_page_is_read() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    let mut set = cmd("MSET");
    for key in 0..5_000 {
        set.arg(key).arg("v");
    }
    subject.redis.run::<()>(&set).await.unwrap();
    assert_eq!(subject.configuration.get(&[]).await.unwrap().len(), 5_000);
}

#[tokio::test]
async fn notifications_of_others_stay_on() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    let set = cmd("CONFIG")
        .arg("SET")
        .arg("notify-keyspace-events")
        .arg("Ex")
        .to_owned();
    subject.redis.run::<()>(&set).await.unwrap();
    let _subscription = subject
        .configuration
        .subscribe(Vec::new(), &Metadata::new())
        .await
        .unwrap();
    let notifications = subject.notifications().await;
    assert!(
        ["K", "E", "A"].iter().all(|flag| notifications.contains(flag)),
        "{notifications}"
    );
}

#[tokio::test]
async fn what_happened_while_redis_was_gone_is_told() {
    if !available() {
        return;
    }
    let mut subject = OnServer::open().await;
    subject.set("a", "1").await;
    subject.set("b", "1").await;
    let mut subscription = subject
        .configuration
        .subscribe(Vec::new(), &Metadata::new())
        .await
        .unwrap();
    subject.server.stop();
    subject.server.resume().await;
    // It has forgotten everything, the notifications too.
    put(&subject.server.connect().await, "b", "2").await;
    let told = async {
        let mut seen = std::collections::BTreeMap::new();
        while seen.get("a") != Some(&None) || seen.get("b") != Some(&Some("2".to_owned())) {
            // Reading may fail until the connection is there again.
            match subscription.changed().await {
                Ok(changes) => seen.extend(
                    changes
                        .into_iter()
                        .map(|(key, item)| (key, item.map(|item| item.value))),
                ),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    put(&subject.redis, "c", "3").await;
    let changes = tokio::time::timeout(PATIENCE, subscription.changed())
        .await
        .unwrap()
        .unwrap();
    assert!(changes.contains_key("c"));
}

#[tokio::test]
async fn databases_are_apart() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    let mut options = subject.server.options();
    options.database = 2;
    let other = OnRedis::new(Redis::connect(options).await.unwrap());
    let mut subscription = other.subscribe(Vec::new(), &Metadata::new()).await.unwrap();
    subject.set("a", "1").await;
    let select = cmd("EVAL")
        .arg("redis.call('SELECT', 2); redis.call('SET', 'b', '2')")
        .arg(0)
        .to_owned();
    subject.redis.run::<()>(&select).await.unwrap();
    let changes = tokio::time::timeout(PATIENCE, subscription.changed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(changes.into_keys().collect::<Vec<_>>(), ["b"]);
}
