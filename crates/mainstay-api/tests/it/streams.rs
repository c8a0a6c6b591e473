//! Calls of any gRPC service, passed through with all four kinds of streaming.

use std::net::SocketAddr;
use std::pin::Pin;

use http::uri::PathAndQuery;
use mainstay_mesh::{AppProtocol, Body};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::{self, Stream, StreamExt, wrappers::ReceiverStream};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::{Callee, Front, app, in_time};

type Codec = ProstCodec<String, String>;
type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// An app with the four kinds of methods; messages are `google.protobuf.StringValue`.
async fn streaming_app() -> SocketAddr {
    app(|request| async move {
        let mut grpc = tonic::server::Grpc::new(Codec::default());
        let response = match request.uri().path() {
            "/test.Echo/Unary" => grpc.unary(tower::service_fn(unary), request).await,
            "/test.Echo/Server" => grpc.server_streaming(tower::service_fn(server), request).await,
            "/test.Echo/Client" => grpc.client_streaming(tower::service_fn(client), request).await,
            "/test.Echo/Both" => grpc.streaming(tower::service_fn(both), request).await,
            path => Status::unimplemented(format!("no {path}")).into_http(),
        };
        response.map(Body::boxed)
    })
    .await
}

async fn unary(request: Request<String>) -> Result<Response<String>, Status> {
    let caller = request.metadata().get("dapr-caller-app-id").cloned();
    let label = request.metadata().contains_key("dapr-app-id");
    let token = request.metadata().contains_key("dapr-api-token");
    let text = request.into_inner();
    if text == "fail" {
        let mut status = Status::with_details(Code::Aborted, "as asked", b"details"[..].into());
        status.metadata_mut().insert("x-own", "kept".parse().unwrap());
        return Err(status);
    }
    let caller = caller.unwrap();
    let caller = caller.to_str().unwrap();
    let mut answer = Response::new(format!("{text} from {caller}, label {label}, token {token}"));
    answer.metadata_mut().insert("x-own", "kept".parse().unwrap());
    Ok(answer)
}

async fn server(request: Request<String>) -> Result<Response<Lines>, Status> {
    let text = request.into_inner();
    let lines = (1..=3).map(move |index| Ok(format!("{text} {index}")));
    let lines: Vec<_> = lines.chain([Err(Status::data_loss("the end"))]).collect();
    Ok(Response::new(Box::pin(tokio_stream::iter(lines))))
}

async fn client(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let mut lines = request.into_inner();
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line?);
    }
    Ok(Response::new(all.join("+")))
}

async fn both(request: Request<Streaming<String>>) -> Result<Response<Lines>, Status> {
    let lines = request.into_inner();
    Ok(Response::new(Box::pin(
        lines.map(|line| line.map(|line| format!("echo {line}"))),
    )))
}

async fn start() -> (Front, tonic::client::Grpc<Channel>) {
    let front = Front::start(&[Callee::new("back", AppProtocol::Grpc, streaming_app().await)]);
    let channel = Channel::from_shared(format!("http://{}", front.address)).unwrap();
    let channel = in_time(channel.connect()).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    in_time(grpc.ready()).await.unwrap();
    (front, grpc)
}

fn to_back<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("dapr-app-id", "back".parse().unwrap());
    request
}

fn path(method: &str) -> PathAndQuery {
    format!("/test.Echo/{method}").parse().unwrap()
}

async fn call(
    grpc: &mut tonic::client::Grpc<Channel>,
    request: Request<String>,
    method: &str,
) -> Result<Response<String>, Status> {
    in_time(grpc.ready()).await.unwrap();
    in_time(grpc.unary(request, path(method), Codec::default())).await
}

#[tokio::test]
async fn unary_calls_pass_with_metadata_both_ways() {
    let (_front, mut grpc) = start().await;
    for name in ["dapr-app-id", "dapr-callee-app-id"] {
        let mut request = Request::new("hello".to_owned());
        request
            .metadata_mut()
            .insert(name, "back.default".parse().unwrap());
        request
            .metadata_mut()
            .insert("dapr-api-token", "ignored".parse().unwrap());
        let answer = call(&mut grpc, request, "Unary").await.unwrap();
        assert_eq!(answer.metadata().get("x-own").unwrap(), "kept");
        let text = answer.into_inner();
        assert_eq!(text, "hello from front, label false, token false");
    }
}

#[tokio::test]
async fn the_app_s_own_status_passes_whole() {
    let (_front, mut grpc) = start().await;
    let request = to_back("fail".to_owned());
    let answer = call(&mut grpc, request, "Unary").await;
    let status = answer.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "as asked"));
    assert_eq!(status.details(), b"details");
    assert_eq!(status.metadata().get("x-own").unwrap(), "kept");
    let request = to_back("x".to_owned());
    let answer = call(&mut grpc, request, "Other").await;
    assert_eq!(answer.unwrap_err().message(), "no /test.Echo/Other");
}

#[tokio::test]
async fn a_stream_of_answers_passes_with_its_trailers() {
    let (_front, mut grpc) = start().await;
    let request = to_back("line".to_owned());
    let answer = in_time(grpc.server_streaming(request, path("Server"), Codec::default()))
        .await
        .unwrap();
    let mut lines: Streaming<String> = answer.into_inner();
    for index in 1..=3 {
        let line = in_time(lines.message()).await.unwrap();
        assert_eq!(line, Some(format!("line {index}")));
    }
    let status = in_time(lines.message()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "the end"));
}

#[tokio::test]
async fn a_stream_of_requests_passes() {
    let (_front, mut grpc) = start().await;
    let lines = tokio_stream::iter(["a", "b", "c"].map(str::to_owned));
    let answer = in_time(grpc.client_streaming(to_back(lines), path("Client"), Codec::default())).await;
    let text: String = answer.unwrap().into_inner();
    assert_eq!(text, "a+b+c");
}

#[tokio::test]
async fn both_streams_pass_message_by_message() {
    let (_front, mut grpc) = start().await;
    let (sender, receiver) = mpsc::channel(1);
    let request = to_back(ReceiverStream::new(receiver));
    let answer = in_time(grpc.streaming(request, path("Both"), Codec::default()))
        .await
        .unwrap();
    let mut echoes: Streaming<String> = answer.into_inner();
    // Each message is sent only after the one before has come back: nothing is held on the way.
    for text in ["one", "two", "three"] {
        sender.send(text.to_owned()).await.unwrap();
        let echo = in_time(echoes.message()).await.unwrap();
        assert_eq!(echo, Some(format!("echo {text}")));
    }
    drop(sender);
    assert_eq!(in_time(echoes.message()).await.unwrap(), None);
}

#[tokio::test]
async fn calls_without_a_callee_or_to_an_unknown_one_fail() {
    let (_front, mut grpc) = start().await;
    let request = Request::new("x".to_owned());
    let answer = call(&mut grpc, request, "Unary").await;
    let status = answer.unwrap_err();
    let message = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found";
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));

    let mut request = Request::new("x".to_owned());
    request
        .metadata_mut()
        .insert("dapr-app-id", "nobody".parse().unwrap());
    let answer = call(&mut grpc, request, "Unary").await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(
        status.metadata().get("mainstay-reason").unwrap(),
        "unknown_target"
    );
}
