//! `mainstay migrate`: from the embedded store to a database and back, under load, through kills and mistakes.

mod kills;
mod mistakes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, StatusCode};
use mainstay_postgres::Postgres;
use mainstay_postgres::test_server::{TestServer, available};
use serde_json::{Value, json};

use crate::harness::system::Builder;
use crate::harness::{Client, System, eventually};

const APPS: &str = "apps: { app: { command: [testapp], ingress: {} } }";
const STATE: &str = "/v1.0/state/statestore";

fn on(store: &str) -> String {
    format!("name: shop\nstore: {store}\n{APPS}")
}

/// A system that knows the database, on the embedded store.
fn embedded(server: &TestServer) -> Builder {
    System::with(&on("embedded")).env("DATABASE_URL", &url(server))
}

/// With a password, which the server takes and nobody may see.
fn url(server: &TestServer) -> String {
    server.url().replace("mainstay@", "mainstay:hunter2@")
}

/// A thousand values at once, `count` times.
async fn fill(api: &Client, count: u32) {
    for batch in 0..count {
        let items =
            (0..1_000).map(|item| json!({"key": format!("filled-{batch}-{item}"), "value": "x".repeat(200)}));
        let body = Value::from_iter(items).to_string();
        assert_eq!(api.post(STATE, body).await.status, 204);
    }
}

async fn migration(system: &System) -> Value {
    let text = system.succeeds(&["migrate", "status", "--json"]).await;
    serde_json::from_str(&text).expect("JSON")
}

async fn until_phase(system: &System, phases: &[&str]) -> Value {
    eventually(&format!("the phase {phases:?}"), async || {
        let status = migration(system).await;
        let phase = status["phase"].as_str()?;
        phases.contains(&phase).then_some(status)
    })
    .await
}

async fn value(api: &Client, key: &str) -> String {
    api.get(&format!("{STATE}/{key}")).await.text()
}

/// Saves rising numbers until it is told to stop, and gives the last one that was acknowledged. Whatever is refused is
/// tried again, as the status says.
async fn count_up(api: Client, key: String, stop: Arc<AtomicBool>) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = format!(r#"[{{"key":"{key}","value":{}}}]"#, number + 1);
        match api.attempt(Method::POST, STATE, body.into()).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => number += 1,
            Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}"),
            Err(error) => panic!("{error}"),
        }
    }
    number
}

/// Clients that go on meanwhile.
struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<u64>>,
}

impl Load {
    async fn start(system: &System) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for writer in 0..8 {
            let api = system.api("app").await;
            writers.push(tokio::spawn(count_up(
                api,
                format!("counter-{writer}"),
                Arc::clone(&stop),
            )));
        }
        Self { stop, writers }
    }

    /// What was acknowledged is there.
    async fn check(self, api: &Client) {
        self.stop.store(true, Ordering::Relaxed);
        for (number, writer) in self.writers.into_iter().enumerate() {
            let acknowledged = writer.await.expect("a writer");
            assert!(acknowledged > 0, "it does nothing");
            let found = value(api, &format!("counter-{number}")).await;
            assert_eq!(found, acknowledged.to_string(), "counter-{number}");
        }
    }
}

async fn lock(api: &Client, resource: &str) -> u64 {
    let body = json!({"resourceId": resource, "lockOwner": "me", "expiryInSeconds": 60});
    let answer = api.post("/v1.0-alpha1/lock/lockstore", body.to_string()).await;
    assert_eq!(answer.json()["success"], true, "{answer:?}");
    answer.header("mainstay-fencing-token").parse().expect("a number")
}

async fn unlock(api: &Client, resource: &str) {
    let body = json!({"resourceId": resource, "lockOwner": "me"});
    let answer = api.post("/v1.0-alpha1/unlock/lockstore", body.to_string()).await;
    assert_eq!(answer.json()["status"], 0, "{answer:?}");
}

/// Saves under the condition that the value is the one with this tag.
async fn save_if(api: &Client, key: &str, tag: &str, value: u32) -> StatusCode {
    let item = json!({"key": key, "value": value, "etag": tag, "options": {"concurrency": "first-write"}});
    api.post(STATE, json!([item]).to_string()).await.status
}

#[tokio::test]
async fn a_system_moves_to_a_database_while_it_is_used() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let mut system = embedded(&server).start().await;
    let api = system.api("app").await;
    fill(&api, 5).await;
    let tagged = api.post(STATE, r#"[{"key":"tagged","value":1}]"#).await;
    assert_eq!(tagged.status, 204);
    let tag = api
        .get(&format!("{STATE}/tagged"))
        .await
        .header("etag")
        .to_owned();
    let held = lock(&api, "held").await;
    let load = Load::start(&system).await;

    let begun = system.succeeds(&["migrate", "--to", "DATABASE_URL"]).await;
    assert!(begun.contains("cut-over"), "{begun}");
    assert!(migration(&system).await["verified_ranges"].as_u64() > Some(0));
    let moved = system.succeeds(&["migrate", "cut-over"]).await;
    assert!(moved.contains("store: ${DATABASE_URL}"), "{moved}");
    let status = migration(&system).await;
    assert_eq!(status["phase"], "following-back");
    assert!(status["pause_ms"].as_u64().is_some(), "{status}");
    load.check(&api).await;

    // What clients hold stays valid.
    assert_eq!(save_if(&api, "tagged", &tag, 2).await, 204);
    assert_eq!(save_if(&api, "tagged", &tag, 3).await, 409);
    unlock(&api, "held").await;
    assert!(lock(&api, "held").await > held);
    assert_eq!(
        value(&api, "filled-4-999").await,
        format!("\"{}\"", "x".repeat(200))
    );

    // The manifest names the old store: the start says which line to write, and does not show old data.
    assert!(system.interrupt().await.success());
    let folder = system.folder().to_str().expect("text").to_owned();
    let refused = system
        .mainstay(&["run", &folder, "--control-addr", "127.0.0.1:0"])
        .await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("mainstay.yaml:2:") && refused.stderr.contains("M040"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("`store: ${DATABASE_URL}`"), "{refused:?}");
    system.rewrite(&on("${DATABASE_URL}"));
    system.start_again().await;
    let api = system.api("app").await;
    assert_eq!(value(&api, "tagged").await, "2");
    assert_eq!(
        api.post(STATE, r#"[{"key":"later","value":1}]"#).await.status,
        204
    );
    system.succeeds(&["migrate", "verify"]).await;
    let finished = system.succeeds(&["migrate", "finish"]).await;
    assert!(finished.contains("is the store now"), "{finished}");
    let over = system.mainstay(&["migrate", "back-out"]).await;
    assert_eq!(over.code, 1, "{over:?}");
    system.kill_and_start_again().await;
    assert_eq!(value(&system.api("app").await, "later").await, "1");

    let journal = std::fs::read_to_string(system.data_dir().join("migration")).expect("the journal");
    for text in [journal, system.process().log(), begun, moved] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn going_back_loses_nothing() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let mut system = embedded(&server).start().await;
    let api = system.api("app").await;
    fill(&api, 1).await;
    system.succeeds(&["migrate", "--to", "${DATABASE_URL}"]).await;
    // Before the cut over the copy is only removed.
    system.succeeds(&["migrate", "back-out"]).await;
    assert_eq!(schemas(&server).await, 0);
    // After it, the old store has followed.
    system.succeeds(&["migrate", "--to", "${DATABASE_URL}"]).await;
    system.succeeds(&["migrate", "cut-over"]).await;
    assert_eq!(
        api.post(STATE, r#"[{"key":"there","value":1}]"#).await.status,
        204
    );
    let load = Load::start(&system).await;
    let back = system.succeeds(&["migrate", "back-out"]).await;
    assert!(back.contains("store: embedded"), "{back}");
    load.check(&api).await;
    assert_eq!(schemas(&server).await, 0);
    system.kill_and_start_again().await;
    let api = system.api("app").await;
    assert_eq!(value(&api, "there").await, "1");
    assert_eq!(
        value(&api, "filled-0-0").await,
        format!("\"{}\"", "x".repeat(200))
    );
}

#[tokio::test]
async fn a_database_moves_into_the_data_directory() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let system = System::with(&on("${DATABASE_URL}")).env("DATABASE_URL", &url(&server));
    let mut system = system.start().await;
    let api = system.api("app").await;
    fill(&api, 2).await;
    let load = Load::start(&system).await;
    system.succeeds(&["migrate", "--to", "embedded"]).await;
    system.succeeds(&["migrate", "cut-over"]).await;
    load.check(&api).await;
    system.succeeds(&["migrate", "finish"]).await;
    assert!(system.interrupt().await.success());
    system.rewrite(&on("embedded"));
    system.start_again().await;
    assert_eq!(
        value(&system.api("app").await, "filled-1-999").await,
        format!("\"{}\"", "x".repeat(200))
    );
}

#[tokio::test]
async fn a_system_that_does_not_run_moves_too() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let mut system = embedded(&server).start().await;
    fill(&system.api("app").await, 1).await;
    assert!(system.interrupt().await.success());
    for arguments in [
        &["migrate", "--to", "DATABASE_URL"][..],
        &["migrate", "verify"],
        &["migrate", "cut-over"],
    ] {
        let output = system.offline(arguments).await;
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
    }
    let refused = system.offline(&["migrate", "status"]).await;
    assert_eq!(refused.code, 2, "the manifest names the old store: {refused:?}");
    system.rewrite(&on("${DATABASE_URL}"));
    let finished = system.offline(&["migrate", "finish"]).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    system.start_again().await;
    assert_eq!(
        value(&system.api("app").await, "filled-0-7").await,
        format!("\"{}\"", "x".repeat(200))
    );
}

/// How many systems have their store in the database.
async fn schemas(server: &TestServer) -> i64 {
    let postgres = Postgres::connect(server.options()).await.expect("a connection");
    let ask = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'mainstay%'";
    let rows = postgres.query(ask, &[]).await.expect("an answer");
    rows[0].get(0)
}
