//! Two nodes on one database: what both change at the same time converges, and nothing is lost.

use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::{Client, Store, System, eventually};

/// Both call themselves the same, so that they share their schema; nobody else does.
const MANIFEST: &str = "name: two-nodes\napps: { app: { command: [testapp], ingress: {} } }";

/// How many changes of each kind a node makes, all at once.
const CHANGES: usize = 40;

async fn save(api: &Client, key: &str, value: &str, metadata: &str) {
    let body = format!(r#"[{{"key": "{key}", "value": {value}, "metadata": {{{metadata}}}}}]"#);
    let answer = api.post("/v1.0/state/statestore", body).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

async fn changes(api: &Client, node: &str) {
    let counter = r#""mainstay.crdt": "counter""#;
    let set = r#""mainstay.crdt": "set""#;
    let removal = r#""mainstay.crdt": "set", "mainstay.op": "remove""#;
    join_all((0..CHANGES).map(async |number| {
        let member = format!("\"{node}-{number}\"");
        save(api, "visits", "2", counter).await;
        save(api, "members", &member, set).await;
        save(api, "latest", &member, r#""mainstay.crdt": "register""#).await;
        if number % 2 == 0 {
            save(api, "members", &member, removal).await;
        }
    }))
    .await;
}

async fn read(api: &Client, key: &str) -> Value {
    api.get(&format!("/v1.0/state/statestore/{key}")).await.json()
}

#[tokio::test]
async fn two_nodes_converge() {
    let Some(store) = Store::postgres().await else {
        return;
    };
    let one = System::on(store, MANIFEST).start().await;
    let mut two = System::on(store, MANIFEST).start().await;
    let apis = [one.api("app").await, two.api("app").await];
    tokio::join!(changes(&apis[0], "one"), changes(&apis[1], "two"));
    let [first, second] = &apis;
    for key in ["visits", "members", "latest"] {
        assert_eq!(read(first, key).await, read(second, key).await, "{key}");
    }
    assert_eq!(read(first, "visits").await, 2 * 2 * CHANGES);
    assert_eq!(
        read(second, "members").await.as_array().expect("a list").len(),
        CHANGES
    );

    // A node that comes back goes on where it was.
    two.kill_and_start_again().await;
    let second = two.api("app").await;
    save(&second, "visits", "-160", r#""mainstay.crdt": "counter""#).await;
    eventually("the other one sees it", async || {
        (read(first, "visits").await == 0).then_some(())
    })
    .await;
}
