//! gRPC through the proxy of the Dapr API: all four kinds of call, statuses, metadata.

use dapr::dapr::proto::common::v1::{HttpExtension, InvokeRequest, http_extension::Verb};
use dapr::dapr::proto::runtime::v1::InvokeServiceRequest;
use dapr::dapr::proto::runtime::v1::dapr_client::DaprClient;
use futures_util::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::harness::{System, within};

const DUO: &str = "
apps:
  front:
    command: testapp
    ingress: { path: / }
    calls: [back, web]
  back:
    command: testapp
    protocol: grpc
    replicas: 2
    sla: { latency: 500ms }
  web:
    command: testapp
";

/// Any message will do: the test app sends back what it gets.
type Text = String;

struct Caller {
    grpc: Grpc<Channel>,
    token: String,
}

impl Caller {
    async fn new(system: &System) -> Self {
        let endpoint = format!("http://{}", system.api_address("front").await);
        let channel = Endpoint::new(endpoint).expect("a URL").connect_lazy();
        Self {
            grpc: Grpc::new(channel),
            token: system.api_token("front").await,
        }
    }

    /// The client, with room for one more call.
    async fn grpc(&mut self) -> &mut Grpc<Channel> {
        within("the channel", self.grpc.ready()).await.expect("a channel");
        &mut self.grpc
    }

    fn request<T>(&self, message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
        let mut request = Request::new(message);
        let map: &mut MetadataMap = request.metadata_mut();
        map.insert("dapr-app-id", "back".parse().expect("a value"));
        map.insert("dapr-api-token", self.token.parse().expect("a value"));
        for (name, value) in metadata {
            map.insert(*name, value.parse().expect("a value"));
        }
        request
    }

    async fn unary(&mut self, text: &str, metadata: &[(&'static str, &str)]) -> Result<String, Status> {
        let request = self.request(text.to_owned(), metadata);
        within("the channel", self.grpc.ready()).await.expect("a channel");
        let path = PathAndQuery::from_static("/test.Echo/Unary");
        let codec = ProstCodec::<Text, Text>::default();
        within("an answer", self.grpc().await.unary(request, path, codec))
            .await
            .map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn all_four_kinds_of_call_are_passed_through() {
    let system = System::start(DUO).await;
    let mut caller = Caller::new(&system).await;
    assert_eq!(caller.unary("hello", &[]).await.expect("an answer"), "hello");
    let path = || PathAndQuery::from_static("/test.Echo/Stream");
    let codec = ProstCodec::<Text, Text>::default;
    let texts = || stream::iter(["one", "two", "three"].map(str::to_owned));

    let request = caller.request(texts().take(1), &[]);
    let answer = within(
        "client streaming",
        caller.grpc().await.client_streaming(request, path(), codec()),
    )
    .await;
    assert_eq!(answer.expect("an answer").into_inner(), "one");

    let request = caller.request("once".to_owned(), &[]);
    let answer = within(
        "server streaming",
        caller.grpc().await.server_streaming(request, path(), codec()),
    )
    .await;
    let messages: Vec<_> = answer.expect("an answer").into_inner().collect().await;
    assert_eq!(
        messages.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        ["once"]
    );

    let (sender, receiver) = tokio::sync::mpsc::channel::<String>(1);
    let outgoing = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let request = caller.request(Box::pin(outgoing), &[]);
    let answer = within("both", caller.grpc().await.streaming(request, path(), codec())).await;
    let mut incoming = answer.expect("an answer").into_inner();
    for text in ["ping", "pong"] {
        sender.send(text.to_owned()).await.expect("sent");
        let echo = within("an echo", incoming.message()).await.expect("a message");
        assert_eq!(
            echo.as_deref(),
            Some(text),
            "each answer comes before the next question"
        );
    }
    drop(sender);
    assert_eq!(
        within("the end", incoming.message()).await.expect("a good end"),
        None
    );
}

#[tokio::test]
async fn the_status_of_the_app_arrives_and_the_callers_token_does_not() {
    let system = System::start(DUO).await;
    let mut caller = Caller::new(&system).await;
    let status = caller
        .unary("x", &[("test-status", "5")])
        .await
        .expect_err("a status");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status
            .metadata()
            .get("echo-dapr-caller-app-id")
            .expect("metadata"),
        "front"
    );
    assert!(status.metadata().get("echo-dapr-api-token").is_none());
}

#[tokio::test]
async fn a_unary_call_is_tried_again_on_another_replica() {
    let system = System::start(DUO).await;
    let mut caller = Caller::new(&system).await;
    for _ in 0..10 {
        let metadata = [
            ("test-status", "14"),
            ("test-only", "back-1"),
            ("idempotency-key", "k"),
        ];
        assert_eq!(
            caller.unary("x", &metadata).await.expect("the other replica"),
            "x"
        );
    }
}

#[tokio::test]
async fn a_unary_call_ends_with_the_timeout_of_the_edge() {
    let system = System::start(DUO).await;
    let mut caller = Caller::new(&system).await;
    let status = caller
        .unary("x", &[("test-delay", "1h")])
        .await
        .expect_err("a status");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn without_token_or_target_a_call_is_refused() {
    let system = System::start(DUO).await;
    let mut caller = Caller::new(&system).await;
    let token = std::mem::take(&mut caller.token);
    let status = caller.unary("x", &[]).await.expect_err("a status");
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    caller.token = token;
    let status = caller
        .unary("x", &[("dapr-app-id", "nobody")])
        .await
        .expect_err("a status");
    assert_ne!(status.code(), Code::Ok);
    let mut request = caller.request("x".to_owned(), &[]);
    request.metadata_mut().remove("dapr-app-id");
    let path = PathAndQuery::from_static("/test.Echo/Unary");
    let status = within(
        "an answer",
        caller
            .grpc()
            .await
            .unary(request, path, ProstCodec::<Text, Text>::default()),
    )
    .await
    .expect_err("a status");
    let message = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found";
    assert!(status.message().contains(message), "{status:?}");
}

#[tokio::test]
async fn invoke_service_reaches_an_http_app() {
    let system = System::start(DUO).await;
    let endpoint = format!("http://{}", system.api_address("front").await);
    let mut client = DaprClient::new(Endpoint::new(endpoint).expect("a URL").connect_lazy());
    let mut request = Request::new(InvokeServiceRequest {
        id: "web".to_owned(),
        message: Some(InvokeRequest {
            method: "a/b".to_owned(),
            http_extension: Some(HttpExtension {
                verb: Verb::Get.into(),
                querystring: "c=d".to_owned(),
            }),
            ..InvokeRequest::default()
        }),
    });
    let token = system.api_token("front").await.parse().expect("a value");
    request.metadata_mut().insert("dapr-api-token", token);
    let answer = within("an answer", client.invoke_service(request))
        .await
        .expect("an answer")
        .into_inner();
    let echo: serde_json::Value = serde_json::from_slice(&answer.data.expect("data").value).expect("JSON");
    assert_eq!((&echo["app"], &echo["method"]), (&"web".into(), &"GET".into()));
    assert_eq!((&echo["path"], &echo["query"]), (&"/a/b".into(), &"c=d".into()));
}

#[tokio::test]
async fn a_fixed_answer_stands_in_for_a_grpc_app_where_the_caller_can_read_it() {
    let manifest = DUO.replace(
        "[back, web]",
        r#"{ back: { fallback: { body: '{"plan": "b"}' } } }"#,
    );
    let system = System::start(&manifest).await;

    let api = system.api("front").await.with("test-status", "14");
    let answer = api.post("/v1.0/invoke/back/method/x", "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("mainstay-fallback")),
        (200, "static")
    );
    assert_eq!(answer.json()["plan"], "b");

    let mut caller = Caller::new(&system).await;
    let message = InvokeServiceRequest {
        id: "back".to_owned(),
        message: Some(InvokeRequest::default()),
    };
    let request = caller.request(message, &[("test-status", "14")]);
    let endpoint = format!("http://{}", system.api_address("front").await);
    let mut client = DaprClient::new(Endpoint::new(endpoint).expect("a URL").connect_lazy());
    let answer = within("an answer", client.invoke_service(request))
        .await
        .expect("an answer");
    assert_eq!(
        answer.metadata().get("mainstay-fallback").expect("the mark"),
        "static"
    );
    assert_eq!(answer.into_inner().data.expect("data").value, br#"{"plan": "b"}"#);

    let status = caller.unary("x", &[("test-status", "14")]).await;
    assert_eq!(
        status.expect_err("no message to fall back on").code(),
        Code::Unavailable
    );
}
