//! Over HTTP.

use dapr::dapr::proto::common::v1::StateItem;
use dapr::dapr::proto::runtime::v1 as runtime;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{front, json_of};
use crate::support::in_time;

#[tokio::test]
async fn a_value_is_saved_read_and_deleted() {
    let front = front();
    let saved = front
        .ask(
            Method::POST,
            "/v1.0/state/statestore",
            r#"[{"key":"a b/c","value":{"n": 1}}]"#,
        )
        .await;
    assert_eq!(saved.told(), (204, ""));
    let read = front.get("/v1.0/state/statestore/a%20b%2Fc").await;
    assert_eq!(read.told(), (200, r#"{"n": 1}"#));
    assert_eq!(read.header("content-type"), Some("application/json"));
    let etag = read.header("etag").unwrap().to_owned();
    let stale = front
        .ask_with(
            Method::DELETE,
            "/v1.0/state/statestore/a%20b%2Fc",
            &[("if-match", "99")],
            "",
        )
        .await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    let deleted = front
        .ask_with(
            Method::DELETE,
            "/v1.0/state/statestore/a%20b%2Fc?concurrency=first-write",
            &[("if-match", &etag)],
            "",
        )
        .await;
    assert_eq!(deleted.told(), (204, ""));
    assert_eq!(
        front.get("/v1.0/state/statestore/a%20b%2Fc").await.told(),
        (204, "")
    );
}

#[tokio::test]
async fn first_write_and_etags_are_kept() {
    let front = front();
    let save = async |body: &'static str| front.ask(Method::PUT, "/v1.0/state/statestore", body).await;
    let first = r#"[{"key":"k","value":1,"options":{"concurrency":"first-write","consistency":"strong"}}]"#;
    assert_eq!(save(first).await.status, StatusCode::NO_CONTENT);
    let again = save(first).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let error = json_of(&again);
    assert_eq!(error["errorCode"], "ERR_STATE_SAVE");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("failed saving state in state store statestore: possible etag mismatch."),
        "{message}"
    );
    let stale = save(r#"[{"key":"k","value":1,"etag":"none of ours"}]"#).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert_eq!(json_of(&stale)["errorCode"], "ERR_STATE_SAVE");
}

#[tokio::test]
async fn a_time_to_live_shows_and_is_checked() {
    let front = front();
    let body = r#"[{"key":"k","value":1,"metadata":{"ttlInSeconds":"100"}}]"#;
    assert_eq!(
        front
            .ask(Method::POST, "/v1.0/state/statestore", body)
            .await
            .status,
        204
    );
    let read = front.get("/v1.0/state/statestore/k").await;
    let expires = read.header("metadata.ttlexpiretime").unwrap();
    assert!(expires.ends_with('Z') && expires.len() == 20, "{expires}");
    let path = "/v1.0/state/statestore?metadata.ttlInSeconds=-1";
    assert_eq!(front.ask(Method::POST, path, body).await.status, 204);
    let read = front.get("/v1.0/state/statestore/k").await;
    assert_eq!(read.header("metadata.ttlexpiretime"), None);
    let wrong = r#"[{"key":"k","value":1,"metadata":{"ttlInSeconds":"soon"}}]"#;
    let refused = front.ask(Method::POST, "/v1.0/state/statestore", wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(
        refused.body.contains("`ttlInSeconds` is `soon`"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn many_keys_are_read_at_once() {
    let front = front();
    let body = r#"[{"key":"a","value":{"n":1}},{"key":"b","value":"text"}]"#;
    front.ask(Method::POST, "/v1.0/state/statestore", body).await;
    // Bytes that are not JSON, as gRPC can save them.
    let mut client = front.client().await;
    let states = vec![StateItem {
        key: "raw".to_owned(),
        value: b"\xff\x00".to_vec(),
        ..StateItem::default()
    }];
    let store_name = "statestore".to_owned();
    in_time(client.save_state(runtime::SaveStateRequest { store_name, states }))
        .await
        .unwrap();
    let asked = r#"{"keys":["b","missing","a","raw"],"parallelism":10,"metadata":{"x":"y"}}"#;
    let answer = front
        .ask(Method::POST, "/v1.0/state/statestore/bulk", asked)
        .await;
    let items = json_of(&answer);
    assert_eq!(
        (items[0]["key"].as_str(), &items[0]["data"]),
        (Some("b"), &json!("text"))
    );
    assert!(items[0]["etag"].is_string());
    assert_eq!(items[1], json!({ "key": "missing" }));
    assert_eq!(items[2]["data"], json!({ "n": 1 }));
    assert_eq!(items[3]["data"], Value::Null);
    assert!(items[3]["error"].as_str().unwrap().contains("not JSON"));
    for empty in [r#"{"keys":[]}"#, "{}"] {
        let answer = front
            .ask(Method::POST, "/v1.0/state/statestore/bulk", empty)
            .await;
        assert_eq!(answer.told(), (200, "[]"));
    }
}

#[tokio::test]
async fn a_transaction_is_done_wholly_or_not() {
    let front = front();
    let path = "/v1.0/state/statestore/transaction";
    let done = front
        .ask(
            Method::POST,
            path,
            r#"{"operations":[
                {"operation":"upsert","request":{"key":"a","value":1}},
                {"operation":"upsert","request":{"key":"b","value":{"x":[1]}}},
                {"operation":"delete","request":{"key":"c"}}],"metadata":{"own":"1"}}"#,
        )
        .await;
    assert_eq!(done.told(), (204, ""));
    assert_eq!(front.get("/v1.0/state/statestore/b").await.body, r#"{"x":[1]}"#);
    let failed = front
        .ask(
            Method::POST,
            path,
            r#"{"operations":[{"operation":"upsert","request":{"key":"a","value":2}},
                {"operation":"delete","request":{"key":"b","etag":"99"}}]}"#,
        )
        .await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR, "as in Dapr");
    let error = json_of(&failed);
    assert_eq!(error["errorCode"], "ERR_STATE_TRANSACTION");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("error while executing state transaction: possible etag")
    );
    assert_eq!(front.get("/v1.0/state/statestore/a").await.body, "1");
    let unknown = front
        .ask(
            Method::POST,
            path,
            r#"{"operations":[{"operation":"merge","request":{"key":"a"}}]}"#,
        )
        .await;
    assert_eq!(
        unknown.told(),
        (
            400,
            r#"{"errorCode":"ERR_NOT_SUPPORTED_STATE_OPERATION","message":"operation type merge not supported"}"#
        )
    );
    for empty in ["{}", r#"{"operations":[]}"#] {
        assert_eq!(front.ask(Method::POST, path, empty).await.told(), (204, ""));
    }
    let operation = r#"{"operation":"delete","request":{"key":"a"}}"#;
    let many = vec![operation; mainstay_state::limits::MAX_OPERATIONS + 1].join(",");
    let many = front
        .ask(Method::POST, path, format!(r#"{{"operations":[{many}]}}"#))
        .await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
    let error = json_of(&many);
    assert_eq!(error["errorCode"], "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS");
    assert_eq!(error["details"][1]["metadata"]["maxOpsPerTransaction"], "4096");
}

#[tokio::test]
async fn values_are_found() {
    let front = front();
    let body = r#"[{"key":"1","value":{"city":"Seattle","age":3}},{"key":"2","value":{"city":"Spokane","age":9}},
        {"key":"3","value":{"city":"Seattle","age":7}}]"#;
    front.ask(Method::POST, "/v1.0/state/statestore", body).await;
    let path = "/v1.0-alpha1/state/statestore/query";
    let query =
        r#"{"filter":{"EQ":{"city":"Seattle"}},"sort":[{"key":"age","order":"DESC"}],"page":{"limit":1}}"#;
    let answer = json_of(&front.ask(Method::POST, path, query).await);
    assert_eq!(answer["results"][0]["key"], "3");
    assert_eq!(answer["results"][0]["data"]["age"], 7);
    assert!(answer["results"][0]["etag"].is_string());
    assert_eq!(answer["token"], "1");
    let nothing = r#"{"filter":{"EQ":{"city":"Rome"}}}"#;
    assert_eq!(front.ask(Method::POST, path, nothing).await.told(), (204, ""));
    for (path, body, status, message) in [
        (
            path,
            "no json",
            400,
            "state store statestore query failed: failed to parse JSON query body:",
        ),
        (
            path,
            r#"{"filter":{"LIKE":{"a":1}}}"#,
            400,
            "unsupported filter \"LIKE\": there are EQ, NEQ,",
        ),
        (
            "/v1.0-alpha1/state/sealed/query",
            "{}",
            500,
            "state store sealed query failed: cannot query encrypted store",
        ),
    ] {
        let failed = front.ask(Method::POST, path, body).await;
        assert_eq!(failed.status, status, "{body}");
        let error = json_of(&failed);
        assert_eq!(error["errorCode"], "ERR_STATE_QUERY");
        let told = error["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
        assert_eq!(error["details"][1]["reason"], "DAPR_STATE_QUERY_FAILED");
    }
}

#[tokio::test]
async fn a_component_without_queries_says_so() {
    let front = front();
    let failed = front
        .ask(Method::POST, "/v1.0-alpha1/state/redis/query", "{}")
        .await;
    assert_eq!(failed.status, 500);
    let error = json_of(&failed);
    assert_eq!(error["errorCode"], "ERR_STATE_STORE_NOT_SUPPORTED");
    assert_eq!(error["message"], "state store does not support querying");
    assert_eq!(error["details"][0]["resource_name"], "redis");
    assert_eq!(error["details"][1]["reason"], "DAPR_STATE_QUERYING_NOT_SUPPORTED");
}

#[tokio::test]
async fn keys_have_their_prefix_and_it_does_not_show() {
    let front = front();
    front
        .ask(
            Method::POST,
            "/v1.0/state/statestore",
            r#"[{"key":"mine","value":1}]"#,
        )
        .await;
    assert_eq!(front.get("/v1.0/state/raw/mine").await.status, 204);
    for path in ["/v1.0/state/raw/a%7C%7Cb", "/v1.0/state/raw/front%7C%7Cmine"] {
        assert_eq!(front.get(path).await.status, 400);
    }
    let found = front
        .ask(Method::POST, "/v1.0-alpha1/state/statestore/query", "{}")
        .await;
    assert_eq!(json_of(&found)["results"][0]["key"], "mine");
}

/// Method, path, body; status and code of the answer.
const MISTAKES: [(Method, &str, &str, u16, &str); 11] = [
    (
        Method::GET,
        "/v1.0/state/none/k",
        "",
        400,
        "ERR_STATE_STORE_NOT_FOUND",
    ),
    (
        Method::POST,
        "/v1.0/state/none",
        "[]",
        400,
        "ERR_STATE_STORE_NOT_FOUND",
    ),
    (
        Method::POST,
        "/v1.0-alpha1/state/none/query",
        "{}",
        400,
        "ERR_STATE_STORE_NOT_FOUND",
    ),
    (
        Method::POST,
        "/v1.0/state/statestore",
        "{",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::POST,
        "/v1.0/state/statestore",
        r#"[{"value":1}]"#,
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::POST,
        "/v1.0/state/statestore/bulk",
        "[",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::POST,
        "/v1.0/state/statestore/transaction",
        "[1]",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::GET,
        "/v1.0/state/statestore/a%7C%7Cb",
        "",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::GET,
        "/v1.0/state/statestore/k?consistency=weak",
        "",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
    (
        Method::GET,
        "/v1.0/state/statestore/%zz",
        "",
        400,
        "ERR_BAD_REQUEST",
    ),
    (
        Method::DELETE,
        "/v1.0/state/statestore/k?concurrency=x",
        "",
        400,
        "ERR_MALFORMED_REQUEST",
    ),
];

#[tokio::test]
async fn mistakes_have_dapr_s_codes() {
    let front = front();
    for (method, path, body, status, code) in MISTAKES {
        let answer = front.ask(method.clone(), path, body).await;
        let error = json_of(&answer);
        assert_eq!(
            (answer.status.as_u16(), error["errorCode"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}"
        );
    }
    let long = "k".repeat(mainstay_state::limits::MAX_KEY_BYTES);
    let answer = front.get(&format!("/v1.0/state/statestore/{long}")).await;
    assert_eq!(answer.status, 400);
    let large = "x".repeat(mainstay_state::limits::MAX_VALUE_BYTES);
    let body = format!(r#"[{{"key":"k","value":"{large}"}}]"#);
    let answer = front.ask(Method::POST, "/v1.0/state/statestore", body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let body = format!(r#"[{{"key":"k","value":"{}"}}]"#, "x".repeat(2_000));
    let full = front.ask(Method::POST, "/v1.0/state/small", body).await;
    assert_eq!(
        (full.status.as_u16(), full.header("retry-after")),
        (503, Some("1"))
    );
}

#[tokio::test]
async fn an_illegal_key_is_told_with_all_details() {
    let front = front();
    let answer = front.get("/v1.0/state/statestore/a%7C%7Cb").await;
    let message = "input key/keyPrefix 'a||b' can't contain '||'";
    let expected = json!({ "errorCode": "ERR_MALFORMED_REQUEST", "message": message, "details": [
        { "@type": "type.googleapis.com/google.rpc.BadRequest",
          "field_violations": [{ "field": "a||b", "description": message }] },
        { "@type": "type.googleapis.com/google.rpc.ResourceInfo", "description": "", "owner": "",
          "resource_name": "statestore", "resource_type": "state" },
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "dapr.io", "metadata": null,
          "reason": "DAPR_STATE_ILLEGAL_KEY" }] });
    assert_eq!(json_of(&answer), expected);
}

#[tokio::test]
async fn an_encrypted_component_tells_which_value_it_cannot_open() {
    let front = front();
    for (store, body) in [
        ("sealed", r#"[{"key":"ok","value":{"s":1}}]"#),
        ("unsealed", r#"[{"key":"plain","value":{"s":2}}]"#),
    ] {
        let path = format!("/v1.0/state/{store}");
        assert_eq!(front.ask(Method::POST, &path, body).await.status, 204);
    }
    assert_eq!(front.get("/v1.0/state/sealed/ok").await.body, r#"{"s":1}"#);
    let hidden = front.get("/v1.0/state/unsealed/ok").await.body;
    assert!(!hidden.contains("{\"s\""), "it is sealed below: {hidden}");
    let refused = front.get("/v1.0/state/sealed/plain").await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(json_of(&refused)["errorCode"], "ERR_STATE_GET");
    let mut client = front.client().await;
    let asked = runtime::GetBulkStateRequest {
        store_name: "sealed".to_owned(),
        keys: ["ok", "missing", "plain"].map(ToOwned::to_owned).to_vec(),
        ..runtime::GetBulkStateRequest::default()
    };
    let items = in_time(client.get_bulk_state(asked))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(items[0].data, br#"{"s":1}"#);
    assert!(items[1].data.is_empty() && items[1].error.is_empty());
    assert!(items[2].data.is_empty() && !items[2].error.is_empty());
}

#[tokio::test]
async fn the_metadata_lists_components() {
    let front = front();
    let metadata = json_of(&front.get("/v1.0/metadata").await);
    let components = metadata["components"].as_array().unwrap();
    let store = components
        .iter()
        .find(|component| component["name"] == "statestore")
        .unwrap();
    assert_eq!(
        store,
        &json!({ "name": "statestore", "type": "state.in-memory", "version": "v1",
            "capabilities": ["ETAG", "TRANSACTIONAL", "QUERY_API", "TTL"] })
    );
    let mut client = front.client().await;
    let told = in_time(client.get_metadata(runtime::GetMetadataRequest {}))
        .await
        .unwrap();
    assert_eq!(told.into_inner().registered_components.len(), 9);
}
