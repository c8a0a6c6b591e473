//! Answers that are kept on a declared edge, values that are kept of a state component, and the command about both.

mod command;
mod state;

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{System, eventually};

fn manifest(cache: &str) -> String {
    format!(
        "
apps:
  front: {{ command: testapp, ingress: {{}}, calls: {{ back: {{ cache: {cache} }} }} }}
  back: {{ command: testapp, restart: never, sla: {{ latency: 2s }} }}
"
    )
}

#[tokio::test]
async fn an_answer_is_given_again_until_something_changes_it() {
    let system = System::start(&manifest("{ ttl: 60s }")).await;
    let api = system.api("front").await;
    let path = "/v1.0/invoke/back/method/items?page=1";
    let at_once = join_all((0..20).map(|_| api.get(path))).await;
    let first = at_once[0].json()["request"].clone();
    for answer in &at_once {
        assert_eq!(answer.json()["request"], first, "one call for all");
    }
    let again = api.get(path).await;
    assert_eq!(
        (&again.json()["request"], again.header("mainstay-cache")),
        (&first, "hit")
    );
    assert!(!again.header("age").is_empty());

    let other = api.get("/v1.0/invoke/back/method/items?page=2").await;
    assert_ne!(other.json()["request"], first);
    let changed = api.post("/v1.0/invoke/back/method/items", "new").await;
    assert_eq!(changed.status, 200);
    let anew = api.get(path).await;
    assert_ne!(anew.json()["request"], first, "the change made the cache forget");
    let metrics = system.metrics().await;
    let hits = [("cache", "front->back"), ("result", "hit")];
    assert_eq!(metrics.sum("mainstay_cache_answers_total", &hits), 1);
}

#[tokio::test]
async fn a_stale_answer_is_better_than_none_and_says_what_it_is() {
    let system = System::start(&manifest("{ ttl: 100ms, stale: 10m, refresh: 0% }")).await;
    let api = system.api("front").await;
    let path = "/v1.0/invoke/back/method/items";
    let first = api.get(path).await;
    assert_eq!(first.status, 200);
    api.get("/v1.0/invoke/back/method/x?fault=crash").await;
    let stale = eventually("a stale answer", async || {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let is_stale = answer
            .headers
            .get("mainstay-cache")
            .is_some_and(|how| how == "stale");
        tokio::time::sleep(Duration::from_millis(20)).await;
        is_stale.then_some(answer)
    })
    .await;
    assert_eq!(stale.json()["request"], first.json()["request"]);
    let metrics = system.metrics().await;
    assert!(metrics.sum("mainstay_cache_answers_total", &[("result", "stale")]) >= 1);
    let never_seen = api.get("/v1.0/invoke/back/method/other").await;
    assert_eq!(never_seen.status, 500);
}
