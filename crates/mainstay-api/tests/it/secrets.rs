//! The secrets API over HTTP and gRPC.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use dapr::dapr::proto::runtime::v1 as runtime;
use mainstay_api::{Blocks, SecretComponent};
use mainstay_secrets::{Access, Environment, LocalFile, Scope, Scopes, SecretStore, file};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Front, about, in_time};

fn component(kind: &str, store: impl SecretStore) -> SecretComponent {
    SecretComponent {
        about: about(kind),
        store: Arc::new(store),
        stored: None,
    }
}

fn front() -> Front {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    std::fs::write(
        &path,
        r#"{"db":{"user":"ada","password":"pw"},"token":"t","private":"p"}"#,
    )
    .unwrap();
    let mut options = file::Options::new(path);
    options.multi_valued = true;
    let file = LocalFile::open(&options).unwrap();
    let variables =
        [("APP_KEY", "v"), ("OTHER", "x")].map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment = Environment::new("APP_", variables);
    let scope = Scope {
        store: "vault".to_owned(),
        default_access: Access::Allow,
        allowed: Vec::new(),
        denied: vec!["private".to_owned()],
    };
    let secrets = BTreeMap::from([
        ("vault".to_owned(), component("secretstores.local.file", file)),
        ("env".to_owned(), component("secretstores.local.env", environment)),
    ]);
    let blocks = Arc::new(Blocks {
        secrets,
        secret_scopes: Scopes::new(vec![scope]).unwrap(),
        ..Blocks::default()
    });
    Front::start_with(&[], |options| options.blocks = blocks)
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn secrets_are_read_one_by_one_and_together() {
    let front = front();
    let database = front.get("/v1.0/secrets/vault/db").await;
    assert_eq!(
        json_of(&database.body),
        json!({ "user": "ada", "password": "pw" })
    );
    let all = front.get("/v1.0/secrets/vault/bulk").await;
    assert_eq!(
        json_of(&all.body),
        json!({ "db": { "user": "ada", "password": "pw" }, "token": { "token": "t" } }),
        "without what the app may not read"
    );
    let missing = front.get("/v1.0/secrets/env/NONE").await;
    assert_eq!(missing.told(), (200, r#"{"NONE":""}"#), "as in Dapr");
    let mut client = front.client().await;
    let asked = |name: &str| runtime::GetSecretRequest {
        store_name: "vault".to_owned(),
        key: name.to_owned(),
        ..Default::default()
    };
    let told = in_time(client.get_secret(asked("token")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.data["token"], "t");
    let denied = in_time(client.get_secret(asked("private"))).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let all = runtime::GetBulkSecretRequest {
        store_name: "env".to_owned(),
        ..Default::default()
    };
    let all = in_time(client.get_bulk_secret(all)).await.unwrap().into_inner();
    assert_eq!(all.data["KEY"].secrets["KEY"], "v");
    assert_eq!(all.data.len(), 1);
}

#[tokio::test]
async fn mistakes_have_dapr_s_codes_and_give_nothing_away() {
    let front = front();
    for (path, status, body) in [
        (
            "none/x",
            401,
            r#"{"errorCode":"ERR_SECRET_STORE_NOT_FOUND","message":"failed finding secret store with key none"}"#,
        ),
        (
            "none/bulk",
            401,
            r#"{"errorCode":"ERR_SECRET_STORE_NOT_FOUND","message":"failed finding secret store with key none"}"#,
        ),
        (
            "vault/private",
            403,
            r#"{"errorCode":"ERR_PERMISSION_DENIED","message":"access denied by policy to get \"private\" from \"vault\""}"#,
        ),
        (
            "vault/missing",
            500,
            r#"{"errorCode":"ERR_SECRET_GET","message":"failed getting secret with key missing from secret store vault: secret missing not found"}"#,
        ),
        ("env/DAPR_API_TOKEN", 200, r#"{"DAPR_API_TOKEN":""}"#),
    ] {
        let answer = front.get(&format!("/v1.0/secrets/{path}")).await;
        assert_eq!(answer.told(), (status, body), "{path}");
    }
    let bare = Front::start(&[]);
    let asked = runtime::GetSecretRequest::default();
    let status = in_time(bare.client().await.get_secret(asked)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::FailedPrecondition, "secret store is not configured")
    );
}
