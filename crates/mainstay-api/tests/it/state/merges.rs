//! Values that merge, over HTTP and gRPC.

use std::collections::HashMap;

use dapr::dapr::proto::common::v1::StateItem;
use dapr::dapr::proto::runtime::v1 as runtime;
use http::Method;
use tonic::Code;

use super::{front, json_of};
use crate::support::{Front, in_time};

async fn save(front: &Front, store: &str, body: &str) -> crate::support::Answer {
    front
        .ask(Method::POST, &format!("/v1.0/state/{store}"), body.to_owned())
        .await
}

async fn read(front: &Front, store: &str, key: &str) -> String {
    front.get(&format!("/v1.0/state/{store}/{key}")).await.body
}

fn metadata(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn item(key: &str, value: &str, pairs: &[(&str, &str)]) -> StateItem {
    StateItem {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        metadata: metadata(pairs),
        ..StateItem::default()
    }
}

#[tokio::test]
async fn metadata_says_what_is_merged() {
    let front = front();
    for store in ["merging", "sealed-merging"] {
        let body = r#"[
            {"key": "visits", "value": 2, "metadata": {"mainstay.crdt": "counter"}},
            {"key": "cart", "value": ["tea", "milk"], "metadata": {"mainstay.crdt": "set"}},
            {"key": "theme", "value": {"dark": true}, "metadata": {"mainstay.crdt": "register"}},
            {"key": "plain", "value": "as ever"}
        ]"#;
        assert_eq!(save(&front, store, body).await.told(), (204, ""));
        let body = r#"[
            {"key": "visits", "value": 5, "metadata": {"mainstay.crdt": "counter", "mainstay.op": "decrement"}},
            {"key": "cart", "value": "milk", "metadata": {"mainstay.crdt": "set", "mainstay.op": "remove"}}
        ]"#;
        assert_eq!(save(&front, store, body).await.told(), (204, ""));
        let one = format!("{store}?metadata.mainstay.crdt=counter");
        assert_eq!(
            save(&front, &one, r#"[{"key": "visits", "value": 1}]"#)
                .await
                .told(),
            (204, "")
        );
        for (key, expected) in [
            ("visits", "-2"),
            ("cart", r#"["tea"]"#),
            ("theme", r#"{"dark": true}"#),
            ("plain", r#""as ever""#),
        ] {
            assert_eq!(read(&front, store, key).await, expected, "{store} {key}");
        }
        let bulk = format!("/v1.0/state/{store}/bulk");
        let bulk = front
            .ask(Method::POST, &bulk, r#"{"keys": ["cart", "visits"]}"#)
            .await;
        let items = json_of(&bulk);
        assert_eq!(
            (&items[0]["data"][0], &items[1]["data"]),
            (&"tea".into(), &(-2).into())
        );
    }
    let query = r#"{"filter": {"EQ": {"dark": true}}}"#;
    let found = front
        .ask(Method::POST, "/v1.0-alpha1/state/merging/query", query)
        .await;
    assert_eq!(json_of(&found)["results"][0]["key"], "theme");
}

#[tokio::test]
async fn transactions_merge_too() {
    let front = front();
    let mut client = front.client().await;
    let operation = |operation: &str, item| runtime::TransactionalStateOperation {
        operation_type: operation.to_owned(),
        request: Some(item),
    };
    let transaction = |operations, pairs: &[(&str, &str)]| runtime::ExecuteStateTransactionRequest {
        store_name: "merging".to_owned(),
        operations,
        metadata: metadata(pairs),
    };
    let steps = vec![
        operation("upsert", item("n", "7", &[("mainstay.crdt", "counter")])),
        operation("upsert", item("plain", "1", &[])),
        operation("delete", item("other", "", &[])),
    ];
    in_time(client.execute_state_transaction(transaction(steps, &[])))
        .await
        .unwrap();
    // What is said of the transaction is said of each of its upserts.
    let steps = || vec![operation("upsert", item("n", "1", &[]))];
    in_time(client.execute_state_transaction(transaction(steps(), &[("mainstay.crdt", "counter")])))
        .await
        .unwrap();
    let body = r#"{"operations": [
        {"operation": "upsert", "request": {"key": "n", "value": 1, "metadata": {"mainstay.crdt": "counter"}}},
        {"operation": "upsert", "request": {"key": "plain", "value": 2, "etag": "99"}}
    ]}"#;
    let refused = front
        .ask(Method::POST, "/v1.0/state/merging/transaction", body)
        .await;
    assert_eq!(refused.status, 500, "{refused:?}");
    assert_eq!(read(&front, "merging", "n").await, "8");
}

#[tokio::test]
async fn mistakes_are_told() {
    let front = front();
    save(&front, "merging", r#"[{"key": "plain", "value": 1}]"#).await;
    for (metadata, key, value, status, told) in [
        (
            r#""mainstay.crdt": "list""#,
            "k",
            "1",
            400,
            "write counter, register or set",
        ),
        (
            r#""mainstay.crdt": "counter", "mainstay.op": "add""#,
            "k",
            "1",
            400,
            "increment or decrement",
        ),
        (
            r#""mainstay.op": "add""#,
            "k",
            "1",
            400,
            "write counter, register or set",
        ),
        (r#""mainstay.crdt": "counter""#, "k", "1.5", 400, "a whole number"),
        (r#""mainstay.crdt": "set""#, "k", "{}", 400, "a JSON list"),
        (
            r#""mainstay.crtd": "counter""#,
            "k",
            "1",
            400,
            "`mainstay.crtd` means nothing here",
        ),
        (
            r#""mainstay.crdt": "counter""#,
            "plain",
            "1",
            409,
            "it is a plain value, and no counter",
        ),
    ] {
        let body = format!(r#"[{{"key": "{key}", "value": {value}, "metadata": {{{metadata}}}}}]"#);
        let refused = save(&front, "merging", &body).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body.contains(told), "{refused:?}");
    }
    assert_eq!(read(&front, "merging", "k").await, "");
    // The component itself, without what merges.
    let body = r#"[{"key": "k", "value": 1, "metadata": {"mainstay.crdt": "counter"}}]"#;
    let refused = save(&front, "statestore", body).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("no values that merge"), "{refused:?}");
    let path = "/v1.0/state/merging/plain?metadata.mainstay.crdt=counter";
    assert_eq!(front.ask(Method::DELETE, path, "").await.status, 400);

    let mut client = front.client().await;
    let request = runtime::SaveStateRequest {
        store_name: "merging".to_owned(),
        states: vec![item("plain", "1", &[("mainstay.crdt", "counter")])],
    };
    let refused = in_time(client.save_state(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
}
