//! Mainstay is killed in each phase, and the database while it is copied to.

use mainstay_postgres::test_server::available;

use super::{embedded, fill, migration, on, schemas, until_phase, value};
use crate::harness::{System, eventually};
use mainstay_postgres::test_server::TestServer;

/// Counts on, so that every start is seen to have all that came before.
async fn count(system: &System, number: u32) {
    let api = system.api("app").await;
    if number > 1 {
        assert_eq!(value(&api, "count").await, (number - 1).to_string());
    }
    let body = format!(r#"[{{"key":"count","value":{number}}}]"#);
    assert_eq!(api.post(super::STATE, body).await.status, 204);
}

#[tokio::test]
async fn a_kill_in_any_phase_loses_nothing() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let mut system = embedded(&server).start().await;
    fill(&system.api("app").await, 20).await;
    count(&system, 1).await;
    system
        .succeeds(&["migrate", "--to", "DATABASE_URL", "--no-wait"])
        .await;
    // As soon as it has begun.
    system.kill_and_start_again().await;
    count(&system, 2).await;
    until_phase(&system, &["copying", "following", "verifying", "ready"]).await;
    system.kill_and_start_again().await;
    count(&system, 3).await;
    until_phase(&system, &["verifying", "ready"]).await;
    system.kill_and_start_again().await;
    count(&system, 4).await;
    until_phase(&system, &["ready"]).await;
    system.kill_and_start_again().await;
    count(&system, 5).await;
    until_phase(&system, &["ready"]).await;
    system.succeeds(&["migrate", "cut-over"]).await;
    count(&system, 6).await;
    system.kill().await;
    system.rewrite(&on("${DATABASE_URL}"));
    system.start_again().await;
    count(&system, 7).await;
    assert_eq!(migration(&system).await["phase"], "following-back");
    // While it goes back.
    let going_back = system.spawn(&["migrate", "back-out"]);
    until_phase(&system, &["following-back", "backing-out", "backed-out"]).await;
    system.kill().await;
    going_back.wait().await;
    // Who serves is decided: one of the two lines is the right one.
    for store in ["embedded", "${DATABASE_URL}"] {
        system.rewrite(&on(store));
        let check = system.offline(&["migrate", "status", "--json"]).await;
        if check.code == 0 {
            break;
        }
        assert!(check.stderr.contains("M040"), "{check:?}");
    }
    system.start_again().await;
    count(&system, 8).await;
    if migration(&system).await["phase"] == "following-back" {
        system.succeeds(&["migrate", "back-out"]).await;
    }
    until_phase(&system, &["backed-out"]).await;
    count(&system, 9).await;
    assert_eq!(schemas(&server).await, 0);
}

#[tokio::test]
async fn a_database_that_breaks_down_is_copied_to_when_it_is_back() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let system = embedded(&server).start().await;
    fill(&system.api("app").await, 30).await;
    system
        .succeeds(&["migrate", "--to", "DATABASE_URL", "--no-wait"])
        .await;
    until_phase(&system, &["copying", "following", "verifying", "ready"]).await;
    server.crash();
    let status = eventually("the problem is told", async || {
        let status = migration(&system).await;
        status["problem"]["message"].is_string().then_some(status)
    })
    .await;
    assert_eq!(status["problem"]["is_retried"], true, "{status}");
    let api = system.api("app").await;
    assert_eq!(
        api.post(super::STATE, r#"[{"key":"meanwhile","value":1}]"#)
            .await
            .status,
        204,
        "apps do not notice"
    );
    server.resume().await;
    until_phase(&system, &["ready"]).await;
    system.succeeds(&["migrate", "cut-over"]).await;
    assert_eq!(value(&api, "meanwhile").await, "1");
    assert_eq!(value(&api, "filled-29-999").await.len(), 202);
}
