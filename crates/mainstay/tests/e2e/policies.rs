//! What the derived policies do to real calls, and that `explain` tells the same as the metrics.

use std::collections::HashMap;

use serde_json::Value;

use crate::harness::metrics::Metrics;
use crate::harness::system::run;
use crate::harness::{System, eventually};

/// What a metric counts of the calls of `front` to `back`.
fn edge(metrics: &Metrics, name: &str) -> u64 {
    metrics.sum(name, &[("caller", "front"), ("target", "back")])
}

#[tokio::test]
async fn a_failing_replica_is_covered_by_another_where_that_is_safe() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, replicas: 2, sla: { latency: 1s, availability: 99.9% } }
",
    )
    .await;
    let api = system.api("front").await;
    let path = "/v1.0/invoke/back/method/x?status=500&only=back-1";
    // Until the bad replica has been tried, each good answer may be luck.
    eventually("a retry", async || {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["instance"]),
            (200, &"back-2".into())
        );
        (edge(&system.metrics().await, "mainstay_retries_total") >= 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_idempotent_is_never_sent_twice() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, sla: { latency: 1s } }
",
    )
    .await;
    let api = system.api("front").await;
    let path = "/v1.0/invoke/back/method/x?status=500";
    assert_eq!(api.post(path, "").await.status, 500);
    assert_eq!(edge(&system.metrics().await, "mainstay_attempts_total"), 1);
    let repeatable = api.with("idempotency-key", "order-1");
    assert_eq!(repeatable.post(path, "").await.status, 500);
    assert_eq!(edge(&system.metrics().await, "mainstay_attempts_total"), 4);
}

/// What `explain` says of an edge: names and values.
async fn explain(system: &System, edge: &str) -> HashMap<String, String> {
    let folder = system.folder().to_str().expect("text");
    let output = run(&["explain", edge, "--dir", folder, "--json"], &[]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let explained: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let parts = ["edge", "callee"].into_iter();
    parts
        .flat_map(|part| explained[part].as_array().expect("lines"))
        .map(|line| (text(&line["name"]), text(&line["value"])))
        .collect()
}

#[tokio::test]
async fn explain_tells_what_the_metrics_show() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, sla: { latency: 200ms, availability: 99.9%, concurrency: 7 } }
",
    )
    .await;
    let told = explain(&system, "front->back").await;
    assert_eq!(
        (told["retries"].as_str(), told["attempt_timeout"].as_str()),
        ("2", "400ms")
    );
    assert_eq!(told["limit_initial"], "7");

    let api = system.api("front").await;
    assert_eq!(api.get("/v1.0/invoke/back/method/x?status=500").await.status, 500);
    let metrics = system.metrics().await;
    assert_eq!(
        edge(&metrics, "mainstay_attempts_total"),
        3,
        "one and two retries"
    );
    assert_eq!(edge(&metrics, "mainstay_retries_total"), 2);
    assert_eq!(
        metrics.sum("mainstay_concurrency_limit", &[("target", "back")]),
        7
    );

    let hanging = api.post("/v1.0/invoke/back/method/x?fault=hang", "").await;
    assert_eq!(
        hanging.header("mainstay-reason"),
        "attempt_timeout",
        "{hanging:?}"
    );
    let metrics = system.metrics().await;
    assert_eq!(edge(&metrics, "mainstay_attempts_total"), 4);
    let timeouts = [
        ("caller", "front"),
        ("target", "back"),
        ("reason", "attempt_timeout"),
    ];
    assert_eq!(metrics.sum("mainstay_call_errors_total", &timeouts), 1);
    // Not before the attempt timeout of 400 ms: the one above 200 ms is this call.
    let calls_within = |bound: &str| {
        let labels = [("caller", "front"), ("target", "back"), ("le", bound)];
        metrics.sum("mainstay_call_duration_seconds_bucket", &labels)
    };
    assert!(calls_within("0.2") < calls_within("+Inf"));
    assert_eq!(calls_within("+Inf"), 2);

    let report = system.status().await;
    let mut edges = report["status"]["edges"].as_array().expect("edges").iter();
    let shown = edges.find(|edge| edge["caller"] == "front" && edge["target"] == "back");
    let shown = shown.expect("the edge");
    assert_eq!(
        (&shown["calls_total"], &shown["attempts_total"]),
        (&2.into(), &4.into()),
        "{shown}"
    );
}

#[tokio::test]
async fn a_breaker_opens_and_answers_with_the_marked_fallback() {
    let system = System::start(
        "
apps:
  front:
    command: testapp
    ingress: {}
    calls: { back: { fallback: { status: 202, content_type: text/plain, body: later } } }
  back: { command: testapp, sla: { latency: 1s } }
",
    )
    .await;
    let api = system.api("front").await;
    let fallback = eventually("a fallback", async || {
        let answer = api.post("/v1.0/invoke/back/method/x?status=500", "").await;
        (!answer.header("mainstay-fallback").is_empty()).then_some(answer)
    })
    .await;
    assert_eq!(
        (fallback.status.as_u16(), fallback.text().as_str()),
        (202, "later")
    );
    assert_eq!(fallback.header("mainstay-fallback"), "static");
    let opened = [("caller", "front"), ("target", "back"), ("state", "open")];
    eventually("the breaker opens", async || {
        api.post("/v1.0/invoke/back/method/x?status=500", "").await;
        (system
            .metrics()
            .await
            .sum("mainstay_breaker_transitions_total", &opened)
            >= 1)
            .then_some(())
    })
    .await;
    assert!(edge(&system.metrics().await, "mainstay_fallbacks_total") >= 1);
    // Once the callee is well again, real answers come back by themselves.
    eventually("real answers", async || {
        let answer = api.post("/v1.0/invoke/back/method/x", "").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn too_much_load_is_turned_away_with_a_time_to_come_back() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, sla: { latency: 200ms, concurrency: 1 } }
",
    )
    .await;
    let api = system.api("front").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let api = api.clone();
        calls.spawn(async move { api.post("/v1.0/invoke/back/method/x?delay=100ms", "").await });
    }
    let answers = calls.join_all().await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let shed: Vec<_> = answers
        .iter()
        .filter(|answer| answer.header("mainstay-reason") == "shed")
        .collect();
    assert!(
        served > 0 && !shed.is_empty(),
        "{served} served, {} shed",
        shed.len()
    );
    for answer in &shed {
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer:?}");
    }
    let counted = system
        .metrics()
        .await
        .sum("mainstay_shed_total", &[("target", "back")]);
    assert_eq!(counted, shed.len() as u64);
    assert_eq!(api.post("/v1.0/invoke/back/method/x", "").await.status, 200);
}

#[tokio::test]
async fn without_any_replica_the_caller_stays_inside_its_promise() {
    let system = System::start(
        "
apps:
  front:
    command: testapp
    ingress: {}
    calls: { back: { fallback: { status: 202, body: '{}' } } }
    sla: { latency: 1s }
  back: { command: [testapp, --exit-after, 1h], restart: never, sla: { latency: 100ms } }
",
    )
    .await;
    let back = system.replica("back", 0).await;
    let _ = back.attempt(http::Method::GET, "/?fault=crash", "".into()).await;
    system
        .replicas_become("back", "failed", |replicas| replicas[0]["state"] == "failed")
        .await;
    for _ in 0..20 {
        let answer = system.ingress().await.get("/call?to=back&path=/").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("mainstay-fallback")),
            (202, "static"),
            "{answer:?}"
        );
    }
}
