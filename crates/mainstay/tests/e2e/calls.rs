//! Calls of every kind through the real binary.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::harness::{Backend, Client, System, within};

const DUO: &str = "
apps:
  front:
    command: testapp
    ingress: { path: / }
    calls: [back]
  back:
    command: testapp
    sla: { latency: 500ms }
";

#[tokio::test]
async fn every_form_of_an_invocation_arrives_alike() {
    let system = System::start(DUO).await;
    let api = system.api("front").await;
    let basic = "Basic ZGFwci1hcHAtaWQ6YmFjaw=="; // dapr-app-id:back
    for answer in [
        api.post("/v1.0/invoke/back/method/a/b?c=d", "body").await,
        api.clone()
            .with("dapr-app-id", "back")
            .post("/a/b?c=d", "body")
            .await,
        api.clone()
            .with("authorization", basic)
            .post("/a/b?c=d", "body")
            .await,
    ] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let echo = answer.json();
        assert_eq!((&echo["app"], &echo["method"]), (&"back".into(), &"POST".into()));
        assert_eq!((&echo["path"], &echo["query"]), (&"/a/b".into(), &"c=d".into()));
        assert_eq!(echo["body"], "body");
        assert_eq!(answer.echoed_header("dapr-caller-app-id"), "front");
        assert_eq!(answer.echoed_header("dapr-callee-app-id"), "back");
        assert_eq!(
            answer.echoed_header("dapr-api-token"),
            "",
            "the caller's secret stays here"
        );
        assert_eq!(answer.echoed_header("dapr-app-id"), "");
        assert!(!answer.echoed_header("traceparent").is_empty());
    }
}

#[tokio::test]
async fn http2_without_tls_is_served_on_the_same_port() {
    let system = System::start(DUO).await;
    let token = system.api_token("front").await;
    let client = Client::http2(system.api_address("front").await).with("dapr-api-token", &token);
    let answer = client.get("/v1.0/invoke/back/method/x").await;
    assert_eq!(answer.json()["app"], "back");
    let ingress = system.addresses().await["ingress"]
        .as_str()
        .expect("text")
        .parse()
        .expect("an address");
    assert_eq!(Client::http2(ingress).get("/x").await.json()["app"], "front");
}

#[tokio::test]
async fn answers_of_the_app_arrive_as_they_are() {
    let system = System::start(DUO).await;
    let api = system.api("front").await;
    let answer = api
        .post("/v1.0/invoke/back/method/x?status=418&header=x-kind:teapot", "")
        .await;
    assert_eq!((answer.status.as_u16(), answer.header("x-kind")), (418, "teapot"));
}

#[tokio::test]
async fn a_websocket_goes_through_the_ingress_and_through_an_invocation() {
    let system = System::start(DUO).await;
    let ingress = system.addresses().await["ingress"]
        .as_str()
        .expect("text")
        .to_owned();
    let api = system.api_address("front").await;
    let token = system.api_token("front").await;
    for url in [
        format!("ws://{ingress}/chat"),
        format!("ws://{api}/v1.0/invoke/back/method/chat"),
    ] {
        let mut request = url.into_client_request().expect("a request");
        request
            .headers_mut()
            .insert("dapr-api-token", token.parse().expect("a value"));
        let connected = within("a WebSocket", tokio_tungstenite::connect_async(request)).await;
        let (mut socket, _) = connected.expect("a WebSocket");
        for text in ["one", "two"] {
            socket.send(Message::text(text)).await.expect("sent");
            let answer = within("an echo", socket.next())
                .await
                .expect("a message")
                .expect("a message");
            assert_eq!(answer.into_text().expect("text").as_str(), text);
        }
        // Longer than any timeout of the edge: a stream is never cut by one.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        socket.send(Message::text("still here")).await.expect("sent");
        let answer = within("an echo", socket.next())
            .await
            .expect("a message")
            .expect("a message");
        assert_eq!(answer.into_text().expect("text").as_str(), "still here");
    }
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one_and_outlive_the_timeout() {
    let system = System::start(DUO).await;
    let api = system.api("front").await;
    // 8 events in 2 s; an attempt may take 1 s.
    let path = "/v1.0/invoke/back/method/x?events=8&every=250ms";
    let mut body = api.open(Method::GET, path).await.expect("an answer").into_body();
    let first = within("an event", body.frame())
        .await
        .expect("a frame")
        .expect("a frame");
    let first = first.into_data().expect("data");
    assert_eq!(first, Bytes::from("id: 1\ndata: event 1\n\n"), "one at a time");
    let rest = within("the rest", body.collect())
        .await
        .expect("the rest")
        .to_bytes();
    assert!(rest.ends_with(b"id: 8\ndata: event 8\n\n"), "{rest:?}");
}

#[tokio::test]
async fn an_external_service_is_called_by_name_and_by_url() {
    let backend = Backend::start(|(head, _)| Response::new(format!("{} {}", head.method, head.uri))).await;
    let manifest = format!(
        "
apps:
  front: {{ command: testapp, ingress: {{}}, calls: [partner] }}
external:
  partner:
    url: http://{}/v2
    headers: {{ x-key: \"${{PARTNER_KEY}}\" }}
",
        backend.address
    );
    let system = System::with(&manifest).env("PARTNER_KEY", "secret").start().await;
    let api = system.api("front").await;
    let answer = api.get("/v1.0/invoke/partner/method/orders?id=1").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "GET /v2/orders?id=1")
    );
    let url = format!("/v1.0/invoke/http%3A%2F%2F{}%2Fv2/method/orders", backend.address);
    assert_eq!(api.get(&url).await.text(), "GET /v2/orders");
    let arrived = backend.arrived();
    for (head, _) in &arrived {
        assert_eq!(head.headers["x-key"], "secret");
        assert_eq!(head.headers["host"], backend.address.to_string());
        assert!(!head.headers.contains_key("dapr-api-token"));
    }
    let log = system.process().log();
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn the_ingress_routes_by_host_and_path() {
    let system = System::start(
        "
apps:
  site: { command: testapp, ingress: [{ path: / }, { path: /, host: '*.example.org' }] }
  api: { command: testapp, ingress: { path: /api } }
  admin: { command: testapp, ingress: { path: /, host: admin.example.org } }
",
    )
    .await;
    let ingress = system.ingress().await;
    for (host, path, app) in [
        ("localhost", "/", "site"),
        ("localhost", "/apix", "site"),
        ("localhost", "/api", "api"),
        ("localhost", "/api/v1", "api"),
        ("admin.example.org", "/", "admin"),
        ("www.example.org", "/", "site"),
    ] {
        let answer = ingress.clone().with("host", host).get(path).await;
        assert_eq!(answer.json()["app"], app, "{host}{path}");
        assert_eq!(answer.json()["path"], path, "the path arrives as it is");
        assert_eq!(answer.echoed_header("x-forwarded-host"), host);
    }
}

#[tokio::test]
async fn without_a_route_the_ingress_says_so() {
    let system = System::start(
        "
apps:
  api: { command: testapp, ingress: { path: /api } }
",
    )
    .await;
    let answer = system.ingress().await.get("/elsewhere").await;
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[tokio::test]
async fn an_app_that_speaks_http2_is_called_in_http2() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, protocol: h2c }
",
    )
    .await;
    let answer = system
        .api("front")
        .await
        .post("/v1.0/invoke/back/method/x", "body")
        .await;
    assert_eq!(
        (&answer.json()["version"], &answer.json()["body"]),
        (&"HTTP/2.0".into(), &"body".into())
    );
}

#[tokio::test]
async fn the_app_token_reaches_the_app() {
    let system = System::start(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, env: { APP_API_TOKEN: for-the-app } }
",
    )
    .await;
    let answer = system.api("front").await.get("/v1.0/invoke/back/method/x").await;
    assert_eq!(answer.echoed_header("dapr-api-token"), "for-the-app");
}
