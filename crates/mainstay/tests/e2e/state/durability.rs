//! What was acknowledged is there, whatever happens to Mainstay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use mainstay_postgres::test_server::{TestServer, available};

use crate::harness::{Client, Store, System, eventually, on_each_store};

const MANIFEST: &str = "apps: { app: { command: [testapp], ingress: {} } }";

/// How often Mainstay is killed.
const KILLS: u32 = 3;

/// Saves rising numbers under a key of its own until it is told to stop or the API is gone; gives the last one that was
/// acknowledged.
async fn save_numbers(api: Client, key: String, mut number: u64, stop: Arc<AtomicBool>) -> u64 {
    while !stop.load(Ordering::Relaxed) {
        let body = format!(r#"[{{"key":"{key}","value":{}}}]"#, number + 1);
        let saving = api.attempt(Method::POST, "/v1.0/state/statestore", body.into());
        match saving.await {
            Ok(answer) if answer.status == 204 => number += 1,
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => break,
        }
    }
    number
}

on_each_store!(no_acknowledged_value_is_lost_by_kill_9);

#[tokio::test]
async fn a_database_that_was_away_is_used_again_without_a_restart() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let manifest = format!("store: ${{STORE}}\n{MANIFEST}");
    let system = System::with(&manifest).env("STORE", &server.url()).start().await;
    let api = system.api("app").await;
    let save = async |value: &str| {
        let body = format!(r#"[{{"key":"k","value":{value}}}]"#);
        api.post("/v1.0/state/statestore", body).await
    };
    assert_eq!(save("1").await.status, 204);
    server.stop();
    let refused = save("2").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["errorCode"], "ERR_STATE_SAVE");
    server.resume().await;
    eventually("it saves again", async || {
        (save("3").await.status == 204).then_some(())
    })
    .await;
    assert_eq!(api.get("/v1.0/state/statestore/k").await.text(), "3");
}

async fn no_acknowledged_value_is_lost_by_kill_9(store: Store) {
    let mut system = System::on(store, MANIFEST).start().await;
    let keys: Vec<String> = (0..16).map(|number| format!("key-{number}")).collect();
    let mut numbers = vec![0; keys.len()];
    for _ in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let api = system.api("app").await;
        let writers = keys.iter().zip(&numbers).map(|(key, number)| {
            let writing = save_numbers(api.clone(), key.clone(), *number, Arc::clone(&stop));
            tokio::spawn(writing)
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.kill_and_start_again().await;
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.push(writer.await.expect("a writer"));
        }
        let api = system.api("app").await;
        for ((key, number), acknowledged) in keys.iter().zip(&mut numbers).zip(acknowledged) {
            assert!(acknowledged > *number, "nothing was saved under {key}");
            let answer = api.get(&format!("/v1.0/state/statestore/{key}")).await;
            let found: u64 = answer.text().parse().expect("a number");
            // The last one may have been saved and not acknowledged any more.
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "{key}: {found} is there, {acknowledged} was acknowledged"
            );
            *number = found;
        }
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let system = System::start(MANIFEST).await;
    assert!(system.interrupt().await.success());
    let format = system.data_dir().join("store/data/FORMAT");
    let written = std::fs::read(&format).expect("the version");
    let newer = "mainstay-store format 99\nchecksum 69801074a8451863\n";
    std::fs::write(&format, newer).expect("a newer version");
    let folder = system.folder().to_str().expect("text").to_owned();
    let refused = system
        .mainstay(&["run", &folder, "--control-addr", "127.0.0.1:0"])
        .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("99"), "{refused:?}");
    std::fs::write(&format, written).expect("the version");
}
