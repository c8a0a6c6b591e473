//! `mainstay config`.

use serde_json::{Value, json};

use super::MANIFEST;
use crate::harness::{Store, System, on_each_store};

on_each_store!(
    a_change_reaches_an_app_that_subscribed,
    who_changed_what_is_remembered_and_undone,
    exit_codes_tell_no_from_wrong,
);

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

async fn a_change_reaches_an_app_that_subscribed(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let api = system.api("app").await;
    let path = "/v1.0/configuration/configstore/subscribe?key=color";
    let subscribed = api.get(path).await;
    assert_eq!(subscribed.status, 200, "{subscribed:?}");
    let watch = system.spawn(&["config", "watch", "color"]);
    watch.line_with("watching configstore").await;

    let set = ["config", "set", "color", "blue", "--by", "ada", "--json"];
    let changed = parsed(&system.succeeds(&set).await);
    let version = changed["version"].as_str().expect("a version");
    let told = system
        .process()
        .line_with("told /configuration/configstore/color")
        .await;
    assert!(told.contains("blue") && told.contains(version), "{told}");
    watch.line_with("color = blue").await;

    let read = api.get("/v1.0/configuration/configstore?key=color").await.json();
    assert_eq!(read["color"]["value"], "blue");
    assert_eq!(system.succeeds(&["config", "get", "color"]).await, "blue");
    let same = system
        .succeeds(&["config", "set", "color", "blue", "--by", "ada"])
        .await;
    assert_eq!(same, "color: it was so already\n");
    system
        .succeeds(&["config", "delete", "color", "--by", "ada"])
        .await;
    watch.line_with("color deleted").await;
}

async fn who_changed_what_is_remembered_and_undone(store: Store) {
    let system = System::on(store, MANIFEST).env("USER", "grace").start().await;
    let first = system
        .succeeds(&["config", "set", "color", "blue", "--by", "ada"])
        .await;
    assert!(first.starts_with("color: set (version "), "{first}");
    let set = ["config", "set", "color", "-", "--metadata", "unit=name"];
    assert_eq!(system.feed(&set, b"red").await.code, 0);
    let item = parsed(&system.succeeds(&["config", "get", "color", "--json"]).await);
    assert_eq!(
        (&item["value"], &item["metadata"]),
        (&json!("red"), &json!({"unit": "name"}))
    );

    let lines = system.succeeds(&["config", "history", "color", "--json"]).await;
    let records: Vec<_> = lines.lines().map(parsed).collect();
    let by: Vec<_> = records.iter().map(|record| &record["by"]).collect();
    assert_eq!(by, ["grace", "ada"]);
    assert_eq!(
        (&records[0]["before"]["value"], &records[1]["before"]),
        (&json!("blue"), &json!(null))
    );

    let stale = records[1]["version"].as_str().expect("a version");
    let late = system.mainstay(&["config", "undo", "color", stale]).await;
    assert_eq!(late.code, 1, "{late:?}");
    assert!(late.stderr.contains("changed again since"), "{late:?}");
    let undone = system.succeeds(&["config", "undo", "color"]).await;
    assert!(undone.starts_with("color: undone (version "), "{undone}");
    assert_eq!(system.succeeds(&["config", "get", "color"]).await, "blue");
    let table = system.succeeds(&["config", "history", "color"]).await;
    assert!(table.contains("undoes "), "{table}");
    let listed = system.succeeds(&["config", "list"]).await;
    assert!(
        listed
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("color  blue")),
        "{listed}"
    );
}

async fn exit_codes_tell_no_from_wrong(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    for (arguments, code, told) in [
        (
            &["config", "get", "none"][..],
            1,
            "there is no key `none` in configstore",
        ),
        (
            &["config", "delete", "none", "--by", "ada"],
            1,
            "there is no key `none`",
        ),
        (&["config", "history", "none"], 1, "no change of `none`"),
        (&["config", "undo", "none", "--by", "ada"], 1, "no such change"),
        (
            &["config", "get", "k", "--store", "configstor"],
            2,
            "did you mean `configstore`?",
        ),
        (&["config", "undo", "k", "soon"], 2, "soon"),
        (&["config", "set", "k", "v", "--metadata", "x"], 2, "NAME=VALUE"),
    ] {
        let output = system.mainstay(arguments).await;
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.stderr.contains(told), "{output:?}");
    }
}
