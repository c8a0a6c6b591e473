//! `mainstay state`.

use http::Method;
use serde_json::Value;

use super::MANIFEST;
use crate::harness::{Store, System, on_each_store};

on_each_store!(
    the_command_and_the_app_see_the_same,
    values_come_from_standard_input_whatever_their_bytes,
    exit_codes_tell_no_from_wrong,
    a_watch_tells_of_changes_until_the_system_stops,
);

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

async fn the_command_and_the_app_see_the_same(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let api = system.api("app").await;
    let told = system
        .succeeds(&["state", "set", "a/1 ü", "\"v\"", "--app", "app"])
        .await;
    assert_eq!(told, "a/1 ü: set\n");
    let read = api.get("/v1.0/state/statestore/a%2F1%20%C3%BC").await;
    assert_eq!((read.status.as_u16(), read.text().as_str()), (200, "\"v\""));

    let saved = api
        .post("/v1.0/state/statestore", r#"[{"key":"b","value":{"n":1}}]"#)
        .await;
    assert_eq!(saved.status, 204);
    assert_eq!(
        system.succeeds(&["state", "get", "--app", "app", "b"]).await,
        r#"{"n":1}"#
    );
    let kept = json(&system.succeeds(&["state", "get", "app||b", "--json"]).await);
    assert_eq!(
        (&kept["key"], &kept["value"]),
        (&"app||b".into(), &r#"{"n":1}"#.into())
    );
    let etag = api
        .get("/v1.0/state/statestore/b")
        .await
        .header("etag")
        .to_owned();
    assert_eq!(kept["etag"], etag.as_str());

    let table = system.succeeds(&["state", "list", "app||"]).await;
    let keys: Vec<_> = table.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(keys, ["KEY", "app||a/1 ü", "app||b"]);
    let lines = system
        .succeeds(&["state", "list", "--app", "app", "--json"])
        .await;
    let keys: Vec<_> = lines.lines().map(|line| json(line)["key"].clone()).collect();
    assert_eq!(keys, ["a/1 ü", "b"]);
    let one = system.succeeds(&["state", "list", "-n", "1", "--json"]).await;
    assert_eq!(one.lines().count(), 1);

    let deleted = system
        .succeeds(&["state", "delete", "b", "--app", "app", "--json"])
        .await;
    assert_eq!(json(&deleted)["state"], "deleted");
    let gone = api.get("/v1.0/state/statestore/b").await;
    assert_eq!(gone.status, 204);
}

async fn values_come_from_standard_input_whatever_their_bytes(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let bytes = "\u{0}line\n\u{7f}\n".repeat(1_000);
    let set = system
        .feed(&["state", "set", "--app", "app", "k", "-"], bytes.as_bytes())
        .await;
    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(system.succeeds(&["state", "get", "app||k"]).await, bytes);
}

async fn exit_codes_tell_no_from_wrong(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let set = async |rest: &[&str]| {
        system
            .mainstay(&[&["state", "set", "k", "1"], rest].concat())
            .await
    };
    assert_eq!(set(&["--ttl", "1h", "--first-write"]).await.code, 0);
    for (arguments, code, told) in [
        (
            &["state", "get", "none"][..],
            1,
            "there is no key `none` in statestore",
        ),
        (&["state", "delete", "none"], 1, "there is no key `none`"),
        (&["state", "set", "k", "2", "--first-write"], 1, "already exists"),
        (&["state", "set", "k", "2", "--etag", "7"], 1, "etag"),
        (
            &["state", "get", "k", "--store", "statestor"],
            2,
            "did you mean `statestore`?",
        ),
        (&["state", "get", "k", "--app", "ap"], 2, "did you mean `app`?"),
        (&["state", "set", "k", "2", "--ttl", "1500ms"], 2, "whole seconds"),
        (&["state", "get", "a||b", "--app", "app"], 2, "can't contain"),
        (&["state", "get"], 2, "<KEY>"),
    ] {
        let output = system.mainstay(arguments).await;
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.stderr.contains(told), "{output:?}");
        assert_eq!(output.stdout, "");
    }
    let output = system.mainstay(&["state", "get", "none", "--json"]).await;
    assert!(json(&output.stderr)["error"].is_string(), "{output:?}");
    let listed = system.succeeds(&["state", "list"]).await;
    assert!(listed.contains("in 59m"), "{listed}");
}

async fn a_watch_tells_of_changes_until_the_system_stops(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let watch = system.spawn(&["state", "watch", "--app", "app"]);
    watch.line_with("watching statestore").await;
    let api = system.api("app").await;
    let save = |value: u32| format!(r#"[{{"key":"k","value":{value}}}]"#);
    assert_eq!(api.post("/v1.0/state/statestore", save(1)).await.status, 204);
    watch.line_with("k = 1").await;
    assert_eq!(api.post("/v1.0/state/statestore", save(2)).await.status, 204);
    watch.line_with("k = 2").await;
    let deleted = api
        .send(Method::DELETE, "/v1.0/state/statestore/k", "".into())
        .await;
    assert_eq!(deleted.status, 204);
    watch.line_with("k deleted").await;
    assert!(system.interrupt().await.success());
    assert!(watch.wait().await.success(), "{}", watch.log());
}

#[tokio::test]
async fn components_that_cannot_do_it_say_so() {
    let memory = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: memory }
spec: { type: state.in-memory, version: v1 }
";
    let system = System::with(&format!("resources: resources\n{MANIFEST}"))
        .file("resources/memory.yaml", memory)
        .start()
        .await;
    // The only one there is needs no name.
    assert_eq!(system.mainstay(&["state", "set", "k", "1"]).await.code, 0);
    assert_eq!(system.succeeds(&["state", "get", "k"]).await, "1");
    assert!(system.succeeds(&["state", "list"]).await.contains("\nk "));
    let watch = system.mainstay(&["state", "watch"]).await;
    assert_eq!(watch.code, 1, "{watch:?}");
    assert!(watch.stderr.contains("cannot be watched"), "{watch:?}");
}
