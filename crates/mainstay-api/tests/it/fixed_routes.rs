//! Health, metadata, shutdown, the token, and building blocks that do not exist.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use mainstay_api::{AppMetadata, HealthCheck};
use mainstay_mesh::{AppProtocol, Body};
use serde_json::{Value, json};

use crate::support::{Callee, Front, echo, request};

#[tokio::test]
async fn health_is_204_or_says_why_not() {
    let front = Front::start(&[]);
    for path in [
        "/v1.0/healthz",
        "/v1.0/healthz/",
        "//v1.0/healthz",
        "/v1.0/healthz/outbound",
        "/v1.0/healthz?appid=front",
    ] {
        assert_eq!(front.get(path).await.told(), (204, ""), "{path}");
    }
    let other = front.get("/v1.0/healthz?appid=back").await;
    let body = r#"{"errorCode":"ERR_HEALTH_APPID_NOT_MATCH","message":"dapr app-id does not match"}"#;
    assert_eq!(other.told(), (500, body));

    let starting = Front::start_with(&[], |options| options.ready = Arc::new(|| false));
    let body = r#"{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: [app]"}"#;
    assert_eq!(starting.get("/v1.0/healthz").await.told(), (500, body));
    assert_eq!(starting.get("/v1.0/healthz/outbound").await.told(), (204, ""));
}

#[tokio::test]
async fn metadata_tells_what_there_is_and_keeps_notes() {
    let front = Front::start_with(&[], |options| {
        options.metadata = AppMetadata {
            port: Some(8080),
            protocol: AppProtocol::H2c,
            channel_address: None,
            max_concurrency: Some(5),
            health: Some(HealthCheck {
                path: Some("/healthz".into()),
                interval: Duration::from_secs(5),
                timeout: Duration::from_millis(500),
                threshold: 3,
            }),
            http_endpoints: vec!["payments".into()],
            ..AppMetadata::default()
        };
    });
    let mut put = request(Method::PUT, "/v1.0/metadata/cli%20PID", &[]);
    *put.body_mut() = Body::full("1234");
    assert_eq!(front.send(put).await.told(), (204, ""));
    let answer = front.get("/v1.0/metadata").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let version = format!("1.19.0+mainstay.{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        serde_json::from_str::<Value>(&answer.body).unwrap(),
        json!({
            "id": "front",
            "runtimeVersion": version,
            "enabledFeatures": [],
            "components": [],
            "extended": { "cli PID": "1234", "daprRuntimeVersion": version },
            "subscriptions": [],
            "httpEndpoints": [{ "name": "payments" }],
            "appConnectionProperties": {
                "port": 8080,
                "protocol": "h2c",
                "channelAddress": "127.0.0.1",
                "maxConcurrency": 5,
                "health": {
                    "healthCheckPath": "/healthz",
                    "healthProbeInterval": "5s",
                    "healthProbeTimeout": "500ms",
                    "healthThreshold": 3,
                },
            },
            "actorRuntime": { "runtimeStatus": "DISABLED", "hostReady": false },
        })
    );
}

#[tokio::test]
async fn shutdown_shuts_down() {
    let front = Front::start(&[]);
    let answer = front.send(request(Method::POST, "/v1.0/shutdown", &[])).await;
    assert_eq!(answer.told(), (204, ""));
    assert_eq!(front.shutdowns(), 1);
}

#[tokio::test]
async fn fixed_routes_win_over_the_app_id() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let to_back = [("dapr-app-id", "back")];
    for (method, path, line) in [
        (Method::GET, "/v1.0/metadata", None),
        (Method::GET, "/v1.0/state/store/key", None),
        // No such route with this method: Dapr's fallback is invocation.
        (Method::POST, "/v1.0/healthz", Some("POST /v1.0/healthz")),
        (Method::GET, "/v1.0/shutdown", Some("GET /v1.0/shutdown")),
        (Method::GET, "/v1.0/state/store", Some("GET /v1.0/state/store")),
        (Method::GET, "/v1.0/publish/a/b", Some("GET /v1.0/publish/a/b")),
    ] {
        let answer = front.send(request(method.clone(), path, &to_back)).await;
        let first = answer
            .body
            .lines()
            .next()
            .filter(|line| line.starts_with(method.as_str()));
        assert_eq!(first, line, "{method} {path}");
    }
}

#[tokio::test]
async fn building_blocks_that_do_not_exist_answer_as_daprd_without_components() {
    let front = Front::start(&[]);
    let state = r#"{"errorCode":"ERR_STATE_STORE_NOT_CONFIGURED","message":"state store my store is not configured","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{"appID":"front"},"reason":"DAPR_STATE_NOT_CONFIGURED"}]}"#;
    let query = r#"{"errorCode":"ERR_STATE_STORE_NOT_CONFIGURED","message":"state store s is not configured","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":"DAPR_STATE_NOT_CONFIGURED"}]}"#;
    let pubsub = r#"{"errorCode":"ERR_PUBSUB_NOT_FOUND","message":"pubsub p is not found","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{"ttlInSeconds":"5"},"reason":"DAPR_PUBSUB_NOT_FOUND"}]}"#;
    let binding = r#"{"errorCode":"ERR_INVOKE_OUTPUT_BINDING","message":"error invoking output binding b: couldn't find output binding b"}"#;
    let secrets =
        r#"{"errorCode":"ERR_SECRET_STORES_NOT_CONFIGURED","message":"secret store is not configured"}"#;
    let configuration = r#"{"errorCode":"ERR_CONFIGURATION_STORE_NOT_CONFIGURED","message":"configuration stores not configured"}"#;
    let lock = r#"{"errorCode":"ERR_LOCK_STORE_NOT_CONFIGURED","message":"lock store is not configured"}"#;
    let crypto =
        r#"{"errorCode":"ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED","message":"crypto providers not configured"}"#;
    let missing =
        r#"{"errorCode":"ERR_API_UNIMPLEMENTED","message":"this API is currently not implemented"}"#;
    for (method, path, status, body) in [
        (Method::GET, "/v1.0/state/my%20store/key", 500, state),
        (Method::POST, "/v1.0/state/my+store", 500, state),
        (Method::PUT, "/v1.0/state/my%20store/transaction", 500, state),
        (Method::POST, "/v1.0-alpha1/state/s/query", 500, query),
        (
            Method::POST,
            "/v1.0/publish/p/a/b?metadata.ttlInSeconds=5&x=1",
            404,
            pubsub,
        ),
        (
            Method::PUT,
            "/v1.0-alpha1/publish/bulk/p/t?metadata.ttlInSeconds=5",
            404,
            pubsub,
        ),
        (Method::POST, "/v1.0/bindings/b", 500, binding),
        (Method::GET, "/v1.0/secrets/s/bulk", 500, secrets),
        (Method::GET, "/v1.0/configuration/s?key=a", 500, configuration),
        (
            Method::GET,
            "/v1.0-alpha1/configuration/s/1/unsubscribe",
            500,
            configuration,
        ),
        (Method::POST, "/v1.0-alpha1/unlock/s", 500, lock),
        (Method::PUT, "/v1.0-alpha1/crypto/c/encrypt", 500, crypto),
        (Method::POST, "/v1.0-alpha1/subtlecrypto/c/sign", 500, crypto),
        (Method::POST, "/v1.0/actors/t/1/state", 501, missing),
        (Method::POST, "/v1.0-beta1/workflows/dapr/w/start", 501, missing),
        (Method::DELETE, "/v1.0/jobs/j", 501, missing),
        (Method::POST, "/v1.0-alpha2/conversation/c/converse", 501, missing),
    ] {
        let answer = front.send(request(method.clone(), path, &[])).await;
        assert_eq!(answer.told(), (status, body), "{method} {path}");
    }
}

#[tokio::test]
async fn without_the_token_only_health_is_open() {
    let front = Front::with_token(&[Callee::http("back", echo().await)]);
    for shown in [None, Some(""), Some("secre"), Some("wrong")] {
        let headers: Vec<_> = shown.map(|token| ("dapr-api-token", token)).into_iter().collect();
        for path in [
            "/v1.0/metadata",
            "/v1.0/invoke/back/method/a",
            "/x",
            "/v1.0/healthz/x",
        ] {
            let answer = front.send(request(Method::GET, path, &headers)).await;
            assert_eq!(answer.told(), (401, "invalid api token\n"), "{path} {shown:?}");
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        }
        for path in ["/v1.0/healthz", "/v1.0/healthz/", "/v1.0/healthz/outbound"] {
            let answer = front.send(request(Method::GET, path, &headers)).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        }
        let post = front.send(request(Method::POST, "/v1.0/healthz", &headers)).await;
        assert_eq!(post.status, StatusCode::UNAUTHORIZED);
    }
    let shown = [("dapr-api-token", "secret")];
    let answer = front
        .send(request(Method::GET, "/v1.0/invoke/back/method/a", &shown))
        .await;
    assert_eq!(answer.body.lines().next(), Some("GET /a"));
    assert!(
        !answer.body.contains("secret"),
        "the token stays here: {}",
        answer.body
    );
}
