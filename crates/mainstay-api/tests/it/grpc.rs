//! Dapr's gRPC API with the client of the `dapr` crate.

use std::collections::HashMap;

use dapr::dapr::proto::common::v1::http_extension::Verb;
use dapr::dapr::proto::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use dapr::dapr::proto::runtime::v1::{
    GetMetadataRequest, GetWorkflowRequest, InvokeServiceRequest, SetMetadataRequest, ShutdownRequest,
};
use dapr::google::rpc;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use mainstay_mesh::{AppProtocol, Body};
use prost::Message;
use prost_types::Any;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::{Callee, Front, app, echo, in_time, request};

/// `google.rpc.ErrorInfo`, as clients read it.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

fn invocation(id: &str, method: &str, extension: Option<(Verb, &str)>) -> InvokeServiceRequest {
    InvokeServiceRequest {
        id: id.to_owned(),
        message: Some(InvokeRequest {
            method: method.to_owned(),
            data: Some(Any {
                type_url: String::new(),
                value: b"hello".to_vec(),
            }),
            content_type: "text/plain".to_owned(),
            http_extension: extension.map(|(verb, query)| HttpExtension {
                verb: verb.into(),
                querystring: query.to_owned(),
            }),
        }),
    }
}

fn error_info(status: &Status) -> ErrorInfo {
    let rich = rpc::Status::decode(status.details()).unwrap();
    assert_eq!(
        (rich.code, rich.message.as_str()),
        (i32::from(status.code()), status.message())
    );
    let [info, ..] = rich.details.as_slice() else {
        panic!("no details: {status:?}");
    };
    assert_eq!(info.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    ErrorInfo::decode(info.value.as_slice()).unwrap()
}

#[tokio::test]
async fn a_message_becomes_a_request_to_an_http_app() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let mut client = front.client().await;
    let mut request = Request::new(invocation("back", "a/b", Some((Verb::Put, "x=1"))));
    request.metadata_mut().insert("x-own", "kept".parse().unwrap());
    let answer = in_time(client.invoke_service(request)).await.unwrap();
    assert_eq!(answer.metadata().get("dapr-http-status").unwrap(), "200");
    let message = answer.into_inner();
    let body = String::from_utf8(message.data.unwrap().value).unwrap();
    let lines: Vec<_> = body
        .lines()
        .filter(|line| !line.starts_with("x-forwarded"))
        .collect();
    assert_eq!(
        lines,
        [
            "PUT /a/b?x=1",
            "dapr-callee-app-id: back",
            "dapr-caller-app-id: front",
            "dapr-caller-namespace: default",
            "x-own: kept",
            "hello",
        ]
    );
}

#[tokio::test]
async fn an_error_of_an_http_app_becomes_a_code_with_details() {
    let back = app(|_| async {
        let text = "there is no such order, and this text is longer than sixty-three bytes";
        let mut response = Response::new(Body::full(text));
        *response.status_mut() = StatusCode::NOT_FOUND;
        response.headers_mut().insert("x-own", "kept".parse().unwrap());
        response
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let mut client = front.client().await;
    let request = invocation("back", "orders/7", Some((Verb::Get, "")));
    let status = in_time(client.invoke_service(request)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "Not Found"));
    assert_eq!(status.metadata().get("x-own").unwrap(), "kept");
    assert_eq!(status.metadata().get("dapr-http-status").unwrap(), "404");
    let info = error_info(&status);
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("Not Found", "dapr.io")
    );
    assert_eq!(info.metadata["http.code"], "404");
    let text = "there is no such order, and this text is longer than sixty-three";
    assert_eq!(info.metadata["http.error_message"], &text[..63]);
}

#[tokio::test]
async fn messages_that_make_no_sense_are_refused_in_the_words_of_dapr() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let mut client = front.client().await;
    for (request, message) in [
        (
            invocation("", "a", Some((Verb::Get, ""))),
            "failed to invoke, id: , err: app id is empty",
        ),
        (
            invocation("back", "a", None),
            "failed to invoke, id: back, err: rpc error: code = InvalidArgument desc = missing HTTP extension field",
        ),
        (
            invocation("back", "a", Some((Verb::None, ""))),
            "failed to invoke, id: back, err: rpc error: code = InvalidArgument desc = invalid HTTP verb",
        ),
        (
            invocation("back", "a?x=1", Some((Verb::Get, ""))),
            "failed to invoke, id: back, err: rpc error: code = InvalidArgument desc = invalid method: method contains forbidden character: \"a?x=1\"",
        ),
    ] {
        let status = in_time(client.invoke_service(request)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Internal, message));
    }
    let unknown = invocation("nobody", "a", Some((Verb::Get, "")));
    let status = in_time(client.invoke_service(unknown)).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(
        status
            .message()
            .starts_with("failed to invoke, id: nobody, err: "),
        "{status:?}"
    );
    assert_eq!(error_info(&status).reason, "UNKNOWN_TARGET");
    assert_eq!(
        status.metadata().get("mainstay-reason").unwrap(),
        "unknown_target"
    );
}

#[tokio::test]
async fn metadata_and_shutdown_are_the_same_as_over_http() {
    let front = Front::start(&[]);
    let mut client = front.client().await;
    let note = SetMetadataRequest {
        key: "cliPID".into(),
        value: "42".into(),
    };
    in_time(client.set_metadata(note)).await.unwrap();
    let metadata = in_time(client.get_metadata(GetMetadataRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(metadata.id, "front");
    assert_eq!(metadata.extended_metadata["cliPID"], "42");
    assert!(metadata.runtime_version.starts_with("1.19.0+mainstay."));
    assert_eq!(
        metadata.app_connection_properties.unwrap().channel_address,
        "127.0.0.1"
    );
    in_time(client.shutdown(ShutdownRequest {})).await.unwrap();
    assert_eq!(front.shutdowns(), 1);
}

#[tokio::test]
async fn what_does_not_exist_yet_is_unimplemented() {
    let front = Front::start(&[]);
    let mut client = front.client().await;
    let status = in_time(client.get_workflow_beta1(GetWorkflowRequest::default()))
        .await
        .unwrap_err();
    let message = "Mainstay does not offer the method `GetWorkflowBeta1` yet";
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, message));
}

#[tokio::test]
async fn a_message_larger_than_the_limit_is_refused() {
    let front = Front::start_with(&[], |options| options.limits.body_bytes = 1024);
    let mut client = front.client().await;
    let note = SetMetadataRequest {
        key: "big".into(),
        value: "x".repeat(2000),
    };
    let status = in_time(client.set_metadata(note)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn the_token_is_asked_for_in_metadata() {
    let front = Front::with_token(&[]);
    let mut client = front.client().await;
    for (shown, text) in [
        (None, "missing api token in request metadata"),
        (Some("wrong"), "authentication error: api token mismatch"),
    ] {
        let mut request = Request::new(GetMetadataRequest {});
        if let Some(token) = shown {
            request
                .metadata_mut()
                .insert("dapr-api-token", token.parse().unwrap());
        }
        let status = in_time(client.get_metadata(request)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "Unauthorized")
        );
        let info = error_info(&status);
        assert_eq!(info.metadata["http.code"], "401");
        assert_eq!(info.metadata["http.error_message"], text);
    }
    let mut request = Request::new(GetMetadataRequest {});
    request
        .metadata_mut()
        .insert("dapr-api-token", "secret".parse().unwrap());
    in_time(client.get_metadata(request)).await.unwrap();
}

/// A gRPC app with `OnInvoke`: it echoes, or fails when it is told to.
async fn callback_app() -> std::net::SocketAddr {
    app(|request| async move {
        assert_eq!(
            request.uri().path(),
            "/dapr.proto.runtime.v1.AppCallback/OnInvoke"
        );
        let service = tower::service_fn(|request: Request<InvokeRequest>| async move {
            let own = request.metadata().get("x-own").cloned();
            let caller = request.metadata().get("dapr-caller-app-id").cloned();
            let message = request.into_inner();
            if message.method == "fail" {
                return Err(Status::not_found("no such thing"));
            }
            let extension = message.http_extension.unwrap();
            let text = format!(
                "{} {}?{} {} {} {}",
                extension.verb().as_str_name(),
                message.method,
                extension.querystring,
                message.content_type,
                caller.unwrap().to_str().unwrap(),
                String::from_utf8(message.data.unwrap().value).unwrap(),
            );
            let mut answer = tonic::Response::new(InvokeResponse {
                data: Some(Any {
                    type_url: String::new(),
                    value: text.into_bytes(),
                }),
                content_type: "text/echo".to_owned(),
            });
            answer.metadata_mut().insert("x-own", own.unwrap());
            Ok(answer)
        });
        let codec: ProstCodec<InvokeResponse, InvokeRequest> = ProstCodec::default();
        let response = tonic::server::Grpc::new(codec).unary(service, request).await;
        response.map(Body::boxed)
    })
    .await
}

#[tokio::test]
async fn a_grpc_app_is_invoked_with_a_message_over_http() {
    let front = Front::start(&[Callee::new("back", AppProtocol::Grpc, callback_app().await)]);
    let headers = [("content-type", "text/plain"), ("x-own", "kept")];
    let mut call = request(Method::PUT, "/v1.0/invoke/back/method/a/b%20c?x=1", &headers);
    *call.body_mut() = Body::full("hello");
    let answer = front.send(call).await;
    assert_eq!(answer.told(), (200, "PUT a/b c?x=1 text/plain front hello"));
    assert_eq!(answer.header("content-type"), Some("text/echo"));
    assert_eq!(answer.header("x-own"), Some("kept"));
    let answer = front
        .send(request(Method::GET, "/v1.0/invoke/back/method/fail", &headers))
        .await;
    assert_eq!(answer.told(), (404, r#"{"code":5,"message":"no such thing"}"#));
}

#[tokio::test]
async fn a_grpc_app_is_invoked_with_a_message_over_grpc() {
    let front = Front::start(&[Callee::new("back", AppProtocol::Grpc, callback_app().await)]);
    let mut client = front.client().await;
    let mut request = Request::new(invocation("back", "a", Some((Verb::Post, "x=1"))));
    request.metadata_mut().insert("x-own", "kept".parse().unwrap());
    let answer = in_time(client.invoke_service(request)).await.unwrap();
    assert_eq!(answer.metadata().get("x-own").unwrap(), "kept");
    let message = answer.into_inner();
    assert_eq!(message.content_type, "text/echo");
    assert_eq!(message.data.unwrap().value, b"POST a?x=1 text/plain front hello");
    let status = in_time(client.invoke_service(invocation("back", "fail", None)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "no such thing")
    );
}

#[tokio::test]
async fn grpc_content_below_v1_0_is_an_http_invocation() {
    let front = Front::start(&[Callee::new("back", AppProtocol::H2c, echo().await)]);
    let mut sender = crate::support::http2(front.address).await;
    let path = format!(
        "http://{}/v1.0/invoke/back/method/pkg.Service/Method",
        front.address
    );
    let call = request(Method::POST, &path, &[("content-type", "application/grpc")]);
    let response = in_time(sender.send_request(call)).await.unwrap();
    let body = in_time(response.into_body().collect()).await.unwrap().to_bytes();
    assert!(body.starts_with(b"POST /pkg.Service/Method\n"), "{body:?}");
}
