//! Which keys there are, and when they change, for who operates a system: on every component that can tell.

use http::Method;

use super::engines::Engines;
use crate::harness::System;

#[tokio::test]
async fn keys_are_listed_and_watched_on_every_component() {
    let engines = Engines::start().await;
    let system = System::with("resources: resources\napps: { app: { command: [testapp], ingress: {} } }");
    let system = engines.add_to(system).start().await;
    let api = system.api("app").await;
    let stores = engines.stores();
    // What is in this process alone does not tell of changes.
    for store in stores.split(',').filter(|store| *store != "memory") {
        let watch = system.spawn(&["state", "watch", "--store", store, "--app", "app"]);
        watch.line_with(&format!("watching {store}")).await;
        let path = format!("/v1.0/state/{store}");
        let body =
            r#"[{"key": "b", "value": 1}, {"key": "a", "value": "x", "metadata": {"ttlInSeconds": "3600"}}]"#;
        assert_eq!(api.post(&path, body).await.status, 204, "{store}");
        watch.line_with("a = \"x\"").await;
        watch.line_with("b = 1").await;
        let list = ["state", "list", "--store", store, "--app", "app"];
        let table = system.succeeds(&list).await;
        let keys: Vec<_> = table.lines().filter_map(|line| line.split("  ").next()).collect();
        assert_eq!(keys, ["KEY", "a", "b"], "{store}: {table}");
        assert!(table.contains("in 59m"), "{store}: {table}");
        let deleted = api.send(Method::DELETE, &format!("{path}/a"), "".into()).await;
        assert_eq!(deleted.status, 204, "{store}");
        watch.line_with("a deleted").await;
        let table = system.succeeds(&list).await;
        assert!(!table.contains("\na "), "{store}: {table}");
    }
}
