//! Caches before state components: what apps see, and what several machines see.

use std::time::Duration;

use dapr::dapr::proto::runtime::v1::GetStateRequest;
use dapr::dapr::proto::runtime::v1::dapr_client::DaprClient;
use http::Method;
use mainstay_postgres::test_server as postgres;
use mainstay_redis::test_server as redis;
use serde_json::json;
use tonic::Request;

use crate::harness::http::Answer;
use crate::harness::{Client, System, eventually};

const KEY: &str = "/v1.0/state/statestore/k";

/// A cache that keeps for longer than any test takes: whatever is seen earlier was told.
const LONG: &str = "
store: ${STORE:-embedded}
name: shop
components: { statestore: { cache: { ttl: 1h, stale: 1h, refresh: 0% } } }
apps: { app: { command: [testapp], ingress: {} } }
";

async fn save(api: &Client, store: &str, value: u32) {
    let body = json!([{ "key": "k", "value": value }]);
    let saved = api.post(&format!("/v1.0/state/{store}"), body.to_string()).await;
    assert_eq!(saved.status, 204, "{saved:?}");
}

/// What the answer says of the cache.
fn mark(answer: &Answer) -> Option<&str> {
    answer
        .headers
        .get("mainstay-cache")
        .map(|mark| mark.to_str().expect("text"))
}

#[tokio::test]
async fn a_value_is_given_again_until_it_is_changed_here() {
    let system = System::start(LONG).await;
    let api = system.api("app").await;
    let none = api.get(KEY).await;
    assert_eq!((none.status.as_u16(), mark(&none)), (204, Some("miss")));
    assert_eq!(
        mark(&api.get(KEY).await),
        Some("hit"),
        "that there is none is kept, too"
    );
    save(&api, "statestore", 1).await;
    let first = api.get(KEY).await;
    assert_eq!((first.text().as_str(), mark(&first)), ("1", Some("miss")));
    let again = api.get(KEY).await;
    assert_eq!((again.text().as_str(), mark(&again)), ("1", Some("hit")));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert!(!again.header("age").is_empty());
    let strong = api.get(&format!("{KEY}?consistency=strong")).await;
    assert_eq!((strong.text().as_str(), mark(&strong)), ("1", None));

    let bulk = api
        .post("/v1.0/state/statestore/bulk", r#"{"keys":["k","none"]}"#)
        .await
        .json();
    assert_eq!(bulk[0]["data"], 1);
    assert_eq!(bulk[0]["metadata"]["mainstay.cache"], "hit");
    assert_eq!(bulk[1]["metadata"]["mainstay.cache"], "miss");
    assert_eq!(grpc(&system).await, "hit");

    // Changed past the app, by who operates the system: the same cache.
    system.succeeds(&["state", "set", "k", "2", "--app", "app"]).await;
    assert_eq!(api.get(KEY).await.text(), "2");
    let steps = r#"{"operations":[{"operation":"delete","request":{"key":"k"}}]}"#;
    let done = api.post("/v1.0/state/statestore/transaction", steps).await;
    assert_eq!(done.status, 204, "{done:?}");
    assert_eq!(api.get(KEY).await.status, 204);
    let metrics = system.metrics().await;
    let hits = [("cache", "statestore"), ("result", "hit")];
    assert_eq!(metrics.sum("mainstay_cache_answers_total", &hits), 4);
}

/// How gRPC marks the answer.
async fn grpc(system: &System) -> String {
    let endpoint = format!("http://{}", system.api_address("app").await);
    let mut client = DaprClient::connect(endpoint).await.expect("a connection");
    let mut request = Request::new(GetStateRequest {
        store_name: "statestore".to_owned(),
        key: "k".to_owned(),
        ..GetStateRequest::default()
    });
    let token = system.api_token("app").await.parse().expect("a value");
    request.metadata_mut().insert("dapr-api-token", token);
    let answer = client.get_state(request).await.expect("an answer").into_inner();
    assert_eq!(answer.data, b"1");
    answer.metadata["mainstay.cache"].clone()
}

#[tokio::test]
async fn a_change_on_another_machine_is_heard_of() {
    if !postgres::available() {
        return;
    }
    let server = postgres::TestServer::start().await;
    let here = System::with(LONG).env("STORE", &server.url()).start().await;
    let there = System::with(LONG).env("STORE", &server.url()).start().await;
    let (api, other) = (here.api("app").await, there.api("app").await);
    save(&api, "statestore", 1).await;
    for api in [&api, &other] {
        eventually("it is cached", async || {
            let answer = api.get(KEY).await;
            assert_eq!(answer.text(), "1");
            (mark(&answer) == Some("hit")).then_some(())
        })
        .await;
    }
    save(&other, "statestore", 2).await;
    assert_eq!(
        other.get(KEY).await.text(),
        "2",
        "who changed it sees that at once"
    );
    let seen = eventually("the change is seen here", async || {
        let answer = api.get(KEY).await;
        (answer.text() == "2").then_some(answer)
    })
    .await;

    // An `ETag` that is behind conflicts, wherever it is from.
    save(&other, "statestore", 3).await;
    let body = json!([{ "key": "k", "value": 4, "etag": seen.header("etag"),
        "options": { "concurrency": "first-write" } }]);
    let refused = api.post("/v1.0/state/statestore", body.to_string()).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(
        api.get(KEY).await.text(),
        "3",
        "who was refused reads the new one"
    );
}

/// A component on a Redis, and its cache on another one.
const SHARED: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: mine }
spec:
  type: state.redis
  version: v1
  metadata:
  - { name: redisHost, value: '127.0.0.1:STATE' }
  - { name: keyPrefix, value: name }
  - { name: cacheTTL, value: 1h }
  - { name: cacheStale, value: 1h }
  - { name: cacheRedis, value: 'redis://127.0.0.1:CACHE' }
";

const MINE: &str = "
name: shop
resources: resources
apps: { app: { command: [testapp], ingress: {} } }
";

#[tokio::test]
async fn machines_share_what_is_cached_on_a_redis_and_it_outlives_an_outage() {
    if !redis::available() {
        return;
    }
    let mut state = redis::TestServer::start().await;
    let cache = redis::TestServer::start().await;
    let component = SHARED
        .replace("STATE", &state.port().to_string())
        .replace("CACHE", &cache.port().to_string());
    let machine = || System::with(MINE).file("resources/mine.yaml", &component).start();
    let (here, there) = (machine().await, machine().await);
    let (api, other) = (here.api("app").await, there.api("app").await);
    let key = "/v1.0/state/mine/k";
    save(&api, "mine", 1).await;
    for api in [&api, &other] {
        // The connection to the cache's server may not be there yet.
        eventually("it is cached", async || {
            let answer = api.get(key).await;
            assert_eq!(answer.text(), "1");
            (mark(&answer) == Some("hit")).then_some(())
        })
        .await;
    }
    save(&other, "mine", 2).await;
    let now = api.get(key).await;
    assert_eq!(
        (now.text().as_str(), mark(&now)),
        ("2", Some("miss")),
        "what is answered is forgotten everywhere"
    );
    assert_eq!(
        mark(&other.get(key).await),
        Some("hit"),
        "loaded there, given here"
    );

    state.stop();
    let cached = other.get(key).await;
    assert_eq!((cached.text().as_str(), mark(&cached)), ("2", Some("hit")));
    let unknown = other.get("/v1.0/state/mine/unknown").await;
    assert_ne!(unknown.status, 204, "{unknown:?}");
}

#[tokio::test]
async fn a_stale_value_is_better_than_none_and_says_what_it_is() {
    if !redis::available() {
        return;
    }
    let mut state = redis::TestServer::start().await;
    let component = SHARED
        .replace("STATE", &state.port().to_string())
        .replace("cacheTTL, value: 1h", "cacheTTL, value: 50ms")
        .lines()
        .filter(|line| !line.contains("cacheRedis"))
        .collect::<Vec<_>>()
        .join("\n");
    let system = System::with(MINE)
        .file("resources/mine.yaml", &component)
        .start()
        .await;
    let api = system.api("app").await;
    save(&api, "mine", 1).await;
    assert_eq!(api.get("/v1.0/state/mine/k").await.text(), "1");
    state.stop();
    eventually("a stale value", async || {
        let answer = api.get("/v1.0/state/mine/k").await;
        assert_eq!(answer.text(), "1", "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        (mark(&answer) == Some("stale")).then_some(())
    })
    .await;
    let strong = api.get("/v1.0/state/mine/k?consistency=strong").await;
    assert!(strong.status.is_server_error(), "{strong:?}");
    state.resume().await;
    let deleted = eventually("the server is used again", async || {
        let answer = api.send(Method::DELETE, "/v1.0/state/mine/k", "".into()).await;
        (answer.status == 204).then_some(())
    });
    deleted.await;
    assert_eq!(api.get("/v1.0/state/mine/k").await.status, 204);
}
