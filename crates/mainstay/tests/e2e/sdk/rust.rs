//! The SDK for Rust.

use dapr::Client;
use dapr::client::{ClientOptions, TonicClientWithAuth};
use dapr::error::Error;
use prost_types::Any;

use crate::harness::System;

const MANIFEST: &str = "
apps:
  rust:
    command: [rust_callee]
    protocol: grpc
    env: { APP_API_TOKEN: between-runtime-and-app }
    sla: { latency: 5s }
  caller:
    command: [testapp]
    calls: [rust]
    ingress: {}
";

fn text(text: &str) -> Any {
    Any {
        value: text.as_bytes().to_vec(),
        ..Any::default()
    }
}

/// A client as the app `caller` has it.
async fn connect(system: &System, token: &str) -> Client<TonicClientWithAuth> {
    let address = format!("http://{}", system.api_address("caller").await);
    let options = ClientOptions::new().with_address(address).with_api_token(token);
    Client::from_options(options).await.expect("it connects")
}

#[tokio::test]
async fn the_rust_sdk_calls_and_is_called() {
    let system = System::start(MANIFEST).await;
    let mut client = connect(&system, &system.api_token("caller").await).await;

    let answer = client.invoke_service("rust", "echo", Some(text("hello"))).await;
    assert_eq!(answer.expect("an answer").data, Some(text("hello")));

    let failed = client.invoke_service("rust", "fail", None).await;
    let Err(Error::GrpcError(status)) = failed else {
        panic!("{failed:?}")
    };
    assert!(format!("{status:?}").contains("on purpose"), "{status:?}");

    let nobody = client.invoke_service("nobody", "echo", None).await;
    assert!(format!("{nobody:?}").contains("nobody"), "{nobody:?}");

    client.set_metadata("color", "blue").await.expect("it is kept");
    let told = client.get_metadata().await.expect("it is told");
    assert_eq!(told.id, "caller");
    assert_eq!(told.extended_metadata["color"], "blue");
}

#[tokio::test]
async fn a_callee_in_rust_answers_http_and_checks_the_token_of_its_runtime() {
    let system = System::start(MANIFEST).await;
    let api = system.api("caller").await;
    let answer = api.post("/v1.0/invoke/rust/method/echo", "hello").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello".to_owned()));

    let past_the_runtime = system.replicas("rust").await[0]["port"].clone();
    let address = format!("http://127.0.0.1:{past_the_runtime}");
    let mut direct = dapr::dapr::proto::runtime::v1::app_callback_client::AppCallbackClient::connect(address)
        .await
        .expect("it connects");
    let refused = direct
        .on_invoke(dapr::appcallback::InvokeRequest::default())
        .await;
    assert_eq!(
        refused.expect_err("a stranger").code(),
        tonic::Code::Unauthenticated
    );
}

#[tokio::test]
async fn the_rust_sdk_is_refused_without_the_token() {
    let system = System::start(MANIFEST).await;
    let mut client = connect(&system, "wrong").await;
    let refused = client.invoke_service("rust", "echo", None).await;
    assert!(format!("{refused:?}").contains("Unauthenticated"), "{refused:?}");
}
