//! HTTP/1.1, HTTP/2, WebSocket and server-sent events on one port.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use mainstay_mesh::{AppProtocol, Body};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tonic::codegen::tokio_stream::{StreamExt, wrappers::ReceiverStream};

use crate::support::{Callee, Front, PATIENCE, app, echo, http2, in_time, listener, request};

/// A body that a test writes piece by piece.
fn piecewise() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = ReceiverStream::new(receiver)
        .map(|text: &'static str| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(text.as_bytes()))));
    (sender, Body::boxed(StreamBody::new(frames)))
}

async fn next_text(
    body: &mut (impl http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin),
) -> String {
    let frame = in_time(body.frame()).await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn http1_and_http2_share_the_port() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let path = "/v1.0/invoke/back/method/a";
    assert!(front.get(path).await.body.starts_with("GET /a\n"));
    let mut sender = http2(front.address).await;
    for _ in 0..3 {
        let call = request(Method::GET, &format!("http://{}{path}", front.address), &[]);
        let response = in_time(sender.send_request(call)).await.unwrap();
        let body = in_time(response.into_body().collect()).await.unwrap().to_bytes();
        assert!(body.starts_with(b"GET /a\n"), "{body:?}");
    }
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let sender = http2(front.address).await;
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..100 {
        let mut sender = sender.clone();
        let path = format!("http://{}/v1.0/invoke/back/method/{index}", front.address);
        calls.spawn(async move {
            let response = sender
                .send_request(request(Method::GET, &path, &[]))
                .await
                .unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(body.starts_with(format!("GET /{index}\n").as_bytes()), "{body:?}");
        });
    }
    while let Some(call) = in_time(calls.join_next()).await {
        call.unwrap();
    }
}

#[tokio::test]
async fn events_come_one_by_one() {
    let (events, body) = piecewise();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let back = app(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move {
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(body)
                .unwrap()
        }
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let call = request(
        Method::GET,
        "/v1.0/invoke/back/method/events",
        &[("accept", "text/event-stream"), ("host", "localhost")],
    );
    let response = in_time(mainstay_mesh::client::send(front.address, call))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        // The next one is sent only after this one has arrived.
        events.send(event).await.unwrap();
        assert_eq!(next_text(&mut body).await, event);
    }
    drop(events);
    assert!(in_time(body.frame()).await.is_none());
}

#[tokio::test]
async fn a_request_body_streams_to_the_callee() {
    let back =
        app(|request: Request<Incoming>| async move { Response::new(Body::from(request.into_body())) });
    let front = Front::start(&[Callee::new("back", AppProtocol::H2c, back.await)]);
    let mut sender = http2(front.address).await;
    let (pieces, body) = piecewise();
    let uri = format!("http://{}/v1.0/invoke/back/method/echo", front.address);
    let call = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .body(body)
        .unwrap();
    let answer = sender.send_request(call);
    pieces.send("one").await.unwrap();
    let mut body = in_time(answer).await.unwrap().into_body();
    assert_eq!(next_text(&mut body).await, "one");
    pieces.send("two").await.unwrap();
    assert_eq!(next_text(&mut body).await, "two");
}

/// An app that speaks WebSocket and echoes in capitals.
fn websocket_app() -> SocketAddr {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_blocking(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        while let Ok(Message::Text(text)) = socket.read() {
            socket.send(Message::text(text.to_uppercase())).unwrap();
        }
    });
    address
}

/// Talks over a WebSocket and closes it.
async fn talk(address: SocketAddr, url: String, headers: Vec<(&'static str, &'static str)>) {
    let talk = tokio::task::spawn_blocking(move || {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut socket, _) = tungstenite::client(request, stream).unwrap();
        for text in ["hello", "world"] {
            socket.send(Message::text(text)).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text(text.to_uppercase()));
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    });
    in_time(talk).await.unwrap();
}

#[tokio::test]
async fn a_websocket_passes_in_both_forms() {
    let front = Front::start(&[Callee::http("back", websocket_app())]);
    let url = format!("ws://{}/v1.0/invoke/back/method/socket", front.address);
    talk(front.address, url, Vec::new()).await;

    let front = Front::start(&[Callee::http("back", websocket_app())]);
    let url = format!("ws://{}/socket", front.address);
    talk(front.address, url, vec![("dapr-app-id", "back")]).await;
}

#[tokio::test]
async fn an_app_that_refuses_an_upgrade_is_heard() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let call = request(Method::GET, "/v1.0/invoke/back/method/socket", &headers);
    assert!(front.send(call).await.body.starts_with("GET /socket\n"));
}
