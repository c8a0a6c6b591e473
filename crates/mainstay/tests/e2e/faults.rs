//! Apps that fail while they are called: the caller gets a clear error, everybody else is unharmed.

use crate::harness::System;

/// A caller, a callee with one replica, and a bystander. The callee's attempts end after a second.
const TRIO: &str = "
apps:
  front:
    command: testapp
    ingress: { path: / }
    calls: [back, other]
  back:
    command: testapp
    restart: { backoff_min: 10ms, backoff_max: 100ms }
    sla: { latency: { p99: 500ms, max: 1s }, availability: 99.9% }
  other:
    command: testapp
";

/// Calls `back` through front's API with a wish in the query, expects this status and reason, and then that everything
/// works as before.
async fn fails_clearly(wish: &str, status: u16, reason: &str) {
    let system = System::start(TRIO).await;
    let api = system.api("front").await;
    let answer = api
        .post(&format!("/v1.0/invoke/back/method/x?{wish}"), "body")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("mainstay-reason")),
        (status, reason),
        "{answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["errorCode"], "ERR_DIRECT_INVOKE", "{problem}");
    let message = problem["message"].as_str().expect("a message");
    assert!(
        message.starts_with("failed to invoke, id: back, err: "),
        "{message}"
    );
    assert_eq!(
        api.get("/v1.0/invoke/other/method/x").await.json()["app"],
        "other"
    );
    system.ready().await;
    assert_eq!(api.get("/v1.0/invoke/back/method/x").await.json()["app"], "back");
}

#[tokio::test]
async fn an_app_that_never_answers() {
    fails_clearly("fault=hang", 504, "attempt_timeout").await;
}

#[tokio::test]
async fn an_app_that_answers_garbage() {
    fails_clearly("fault=garbage", 500, "garbage").await;
}

#[tokio::test]
async fn an_app_that_closes_the_connection() {
    fails_clearly("fault=close", 500, "broken").await;
}

#[tokio::test]
async fn an_app_that_answers_half_a_head() {
    fails_clearly("fault=half_head", 500, "broken").await;
}

#[tokio::test]
async fn an_app_that_dies_in_the_middle_of_a_request() {
    fails_clearly("fault=crash", 500, "broken").await;
}

#[tokio::test]
async fn a_response_that_is_cut_reaches_the_client_as_cut() {
    let system = System::start(TRIO).await;
    let api = system.api("front").await;
    let cut = api
        .attempt(
            http::Method::GET,
            "/v1.0/invoke/back/method/x?fault=cut",
            "".into(),
        )
        .await;
    // The head had already been passed on: only a broken connection says that something is missing.
    let error = cut.expect_err("a whole answer");
    assert!(
        error.contains("before message completed") || error.contains("end of file"),
        "{error}"
    );
    assert_eq!(api.get("/v1.0/invoke/back/method/x").await.json()["app"], "back");
}

#[tokio::test]
async fn a_large_body_passes_through_without_being_held() {
    const SIZE: usize = 64 * 1024 * 1024;
    let system = System::start(TRIO).await;
    let api = system.api("front").await;
    let before = resident_bytes(system.process().pid());
    let down = api.get(&format!("/v1.0/invoke/back/method/x?body={SIZE}")).await;
    assert_eq!(down.body.len(), SIZE);
    let up = api.post("/v1.0/invoke/back/method/x", vec![b'x'; SIZE]).await;
    assert_eq!(up.json()["body_bytes"], SIZE);
    let after = resident_bytes(system.process().pid());
    assert!(after < before + SIZE as u64 / 2, "from {before} to {after} bytes");
}

#[tokio::test]
async fn an_undeclared_call_and_an_unknown_app_are_refused_in_words() {
    let system = System::start(TRIO).await;
    let api = system.api("other").await;
    let answer = api.get("/v1.0/invoke/back/method/x").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("mainstay-reason")),
        (403, "not_allowed"),
        "{answer:?}"
    );
    let answer = api.get("/v1.0/invoke/nobody/method/x").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("mainstay-reason")),
        (500, "unknown_target"),
        "{answer:?}"
    );
    let answer = api.get("/v1.0/no/such/route").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(answer.json()["errorCode"], "ERR_DIRECT_INVOKE");
}

/// Resident memory of a process.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a size");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .expect("a number")
        * 1024
}
