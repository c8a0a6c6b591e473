//! Unmodified official SDKs on locks, settings and secrets, of Mainstay's own components and of those on Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use dapr::Client;
use dapr::client::{ClientOptions, TonicClientWithAuth};
use dapr::dapr::proto::runtime::v1 as runtime;
use mainstay_redis::redis::cmd;
use mainstay_redis::test_server::{TestServer, available};

use crate::harness::{Store, System, on_each_store, within};
use crate::sdk::{all_is_well, program};
use crate::tools;

/// Component files: locks and settings on Redis beside the defaults, and secrets in a file.
fn components(redis_port: u16) -> String {
    format!(
        "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: redislock }}
spec:
  type: lock.redis
  version: v1
  metadata:
  - {{ name: redisHost, value: \"127.0.0.1:{redis_port}\" }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: redisconfig }}
spec:
  type: configuration.redis
  version: v1
  metadata:
  - {{ name: redisHost, value: \"127.0.0.1:{redis_port}\" }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: lockstore }}
spec: {{ type: lock.mainstay, version: v1 }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: configstore }}
spec: {{ type: configuration.mainstay, version: v1 }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: secretstore }}
spec: {{ type: secretstores.mainstay, version: v1 }}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{ name: filesecrets }}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
  - {{ name: secretsFile, value: secrets.json }}
  - {{ name: multiValued, value: \"true\" }}
"
    )
}

const LOCKS: &str = "lockstore,redislock";
const CONFIGS: &str = "configstore,redisconfig";
const SECRETS: &str = "secretstore,filesecrets";

on_each_store!(
    the_python_sdk_locks_and_reads_settings_and_secrets,
    the_javascript_sdk_locks_and_reads_settings_and_secrets,
    the_rust_sdk_reads_settings_and_secrets,
    the_rust_sdk_locks,
);

/// A system with every component, and the Redis server that some of them are on.
struct Setup {
    system: System,
    redis: TestServer,
    /// Counts the changes, so that each has a version of its own.
    changes: AtomicU64,
}

impl Setup {
    async fn start(store: Store, manifest: &str) -> Self {
        let redis = TestServer::start().await;
        let system = System::on(store, &format!("resources: resources\n{manifest}"))
            .file("resources/blocks.yaml", &components(redis.port()))
            .file("secrets.json", r#"{"db": {"user": "ada", "password": "pw"}}"#)
            .launch();
        system.addresses().await;
        let setup = Self {
            system,
            redis,
            changes: AtomicU64::new(0),
        };
        for (part, value) in [("user", "ada"), ("password", "pw")] {
            let set = ["secret", "set", "db", "--store", "secretstore", "--part", part];
            let set = setup.system.feed(&set, value.as_bytes()).await;
            assert_eq!(set.code, 0, "{set:?}");
        }
        setup.set("color", "blue").await;
        setup
    }

    /// Gives a setting a value in both components.
    async fn set(&self, key: &str, value: &str) {
        let set = [
            "config",
            "set",
            "--store",
            "configstore",
            "--by",
            "test",
            key,
            value,
        ];
        self.system.succeeds(&set).await;
        // As Dapr keeps it: the value and its version.
        let version = self.changes.fetch_add(1, Ordering::Relaxed);
        let put = cmd("SET").arg(key).arg(format!("{value}||{version}")).to_owned();
        let put = self.redis.connect().await.run::<()>(&put).await;
        put.expect("it is set");
    }
}

/// An app that is a program, from the time it waits for its settings until its end.
async fn runs(store: Store, language: &str, name: &str, node_path: &str) {
    if !available() {
        return;
    }
    let manifest = format!(
        r#"
apps:
  # The system lives until it is told how the caller ended.
  keeper: {{ command: [testapp] }}
  caller:
    command: ["{language}", "{program}"]
    env:
      LOCKS: "{LOCKS}"
      CONFIGS: "{CONFIGS}"
      SECRETS: "{SECRETS}"
      DAPR_HEALTH_TIMEOUT: 30
      NODE_PATH: "{node_path}"
    restart: never
"#,
        program = program(name).display(),
    );
    let setup = Setup::start(store, &manifest).await;
    for store in CONFIGS.split(',') {
        setup
            .system
            .process()
            .line_with(&format!("subscribed to {store}"))
            .await;
    }
    // The SDK for JavaScript does not say when it is subscribed, so there is always one more change.
    let changes = async {
        loop {
            setup.set("color", "blue").await;
            setup.set("color", "red").await;
        }
    };
    tokio::select! {
        () = all_is_well(&setup.system, &["caller"]) => {}
        () = changes => {}
    }
}

async fn the_python_sdk_locks_and_reads_settings_and_secrets(store: Store) {
    let Some(sdks) = tools::sdks() else { return };
    runs(store, sdks.python.to_str().expect("text"), "blocks.py", "").await;
}

async fn the_javascript_sdk_locks_and_reads_settings_and_secrets(store: Store) {
    let Some(sdks) = tools::sdks() else { return };
    runs(
        store,
        "node",
        "blocks.cjs",
        sdks.node_path.to_str().expect("text"),
    )
    .await;
}

async fn connect(system: &System) -> Client<TonicClientWithAuth> {
    let address = format!("http://{}", system.api_address("app").await);
    let token = system.api_token("app").await;
    let options = ClientOptions::new().with_address(address).with_api_token(&token);
    Client::from_options(options).await.expect("it connects")
}

async fn the_rust_sdk_reads_settings_and_secrets(store: Store) {
    if !available() {
        return;
    }
    let setup = Setup::start(store, "apps: { app: { command: [testapp], ingress: {} } }").await;
    setup.system.ready().await;
    let mut client = connect(&setup.system).await;
    for store in SECRETS.split(',') {
        let secret = client.get_secret(store, "db").await.expect("the secret").data;
        assert_eq!((secret.len(), secret["password"].as_str()), (2, "pw"), "{store}");
        let all = client
            .get_bulk_secret(store, None)
            .await
            .expect("all secrets")
            .data;
        assert_eq!(all["db"].secrets["user"], "ada", "{store}");
        let missing = client.get_secret(store, "none").await;
        assert!(format!("{missing:?}").contains("none"), "{missing:?}");
    }
    let mut streams = Vec::new();
    for store in CONFIGS.split(',') {
        let read = client.get_configuration(store, vec!["color"], None).await;
        assert_eq!(read.expect("the setting").items["color"].value, "blue", "{store}");
        let stream = client.subscribe_configuration(store, vec!["color"], None).await;
        let mut stream = stream.expect("a subscription");
        // The first one only has the id: from then on it is subscribed.
        let first = within("the id", stream.message()).await.expect("a message");
        assert!(!first.expect("a message").id.is_empty());
        streams.push(stream);
    }
    setup.set("color", "red").await;
    for mut stream in streams {
        let told = within("a change", stream.message()).await.expect("a message");
        assert_eq!(told.expect("a message").items["color"].value, "red");
    }
}

/// The SDK for Rust has no words of its own for locks: they are in what it generates.
async fn the_rust_sdk_locks(store: Store) {
    if !available() {
        return;
    }
    let setup = Setup::start(store, "apps: { app: { command: [testapp], ingress: {} } }").await;
    setup.system.ready().await;
    let address = format!("http://{}", setup.system.api_address("app").await);
    let token = setup.system.api_token("app").await;
    let channel = tonic::transport::Endpoint::new(address).expect("an address");
    let channel = channel.connect().await.expect("it connects");
    let mut client =
        runtime::dapr_client::DaprClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
            let token = token.parse().expect("a token");
            request.metadata_mut().insert("dapr-api-token", token);
            Ok(request)
        });
    for store in LOCKS.split(',') {
        let lock = |owner: &str| runtime::TryLockRequest {
            store_name: store.to_owned(),
            resource_id: "resource".to_owned(),
            lock_owner: owner.to_owned(),
            expiry_in_seconds: 60,
        };
        let unlock = |owner: &str| runtime::UnlockRequest {
            store_name: store.to_owned(),
            resource_id: "resource".to_owned(),
            lock_owner: owner.to_owned(),
        };
        for (owner, free) in [("ada", true), ("bob", false)] {
            let locked = client.try_lock_alpha1(lock(owner)).await.expect("an answer");
            assert_eq!(locked.into_inner().success, free, "{store} {owner}");
        }
        for (owner, status) in [("bob", 2), ("ada", 0), ("ada", 1)] {
            let unlocked = client.unlock_alpha1(unlock(owner)).await.expect("an answer");
            assert_eq!(unlocked.into_inner().status, status, "{store} {owner}");
        }
    }
}
