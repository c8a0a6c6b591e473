//! What stays open: upgrades, server-sent events, gRPC of all four kinds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_mesh::{AppProtocol, Body, Call, Protocol, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{App, Channel, TestMesh, answer, app, channel, data, eventually, next, topology};

/// A server that passes everything on to `back`, like the servers of `mainstay-api` do.
async fn front(mesh: Arc<TestMesh>, protocol: Protocol) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = stream.into_std().unwrap();
            let mesh = mesh.clone();
            let workers = mesh.mesh.workers().clone();
            workers.spawn(move || async move {
                let stream = TcpStream::from_std(stream).unwrap();
                let service = service_fn(move |request: Request<Incoming>| {
                    let mesh = mesh.clone();
                    async move {
                        let call = Call {
                            caller: mesh.mesh.caller(&app("front")).unwrap(),
                            target: Target::Name("back".to_owned()),
                            request: request.map(Body::from),
                            protocol,
                            takes_fixed_answer: protocol == Protocol::Http,
                        };
                        mesh.mesh.call(call).await
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    });
    (address, server)
}

/// Agrees to go on in the protocol `echo` and sends back what it gets.
async fn echo_upgrade(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.headers().get("upgrade") != Some(&HeaderValue::from_static("echo")) {
        return answer(400, "no upgrade");
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Full::default())
        .unwrap()
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn an_upgraded_connection_goes_through() {
    let callee = App::http(echo_upgrade).await;
    let mesh = Arc::new(TestMesh::with_replicas(&[callee.address]));
    let (address, _server) = front(mesh.clone(), Protocol::Http).await;
    let mut stream = connect(address).await;
    let request = b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: echo"), "{head}");
    for text in [&b"hello"[..], b"world"] {
        stream.write_all(text).await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, *text);
    }
    assert_eq!(mesh.target().in_flight, 0, "it holds no place at the door");
    assert_eq!(mesh.target().replicas[0].in_flight, 1, "it is open");
    drop(stream);
    eventually("it is closed", || mesh.target().replicas[0].in_flight == 0).await;
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (1, 0));
}

#[tokio::test]
async fn an_upgrade_that_the_callee_declines() {
    let callee = App::http(echo_upgrade).await;
    let mesh = Arc::new(TestMesh::with_replicas(&[callee.address]));
    let (address, _server) = front(mesh, Protocol::Http).await;
    let mut stream = connect(address).await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[expect(clippy::disallowed_methods, reason = "a client of the data plane")]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let callee = App::http(|_| async {
        let (sender, body) = channel();
        tokio::spawn(async move {
            for event in ["data: 1\n\n", "data: 2\n\n"] {
                sender.send(data(event)).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        });
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(body)
            .unwrap()
    })
    .await;
    let mesh = Arc::new(TestMesh::with_replicas(&[callee.address]));
    let (address, _server) = front(mesh, Protocol::Http).await;
    let request = Request::get("/events").body(Body::empty()).unwrap();
    let mut response = mainstay_mesh::client::send(address, request).await.unwrap();
    assert_eq!(next(response.body_mut()).await.unwrap(), "data: 1\n\n");
    assert_eq!(next(response.body_mut()).await.unwrap(), "data: 2\n\n");
}

/// A gRPC server: for every message it gets it sends one back, and ends with the status that the path names.
async fn grpc_echo(request: Request<Incoming>) -> Response<Channel> {
    assert_eq!(request.headers().get("te").unwrap(), "trailers");
    let status = request.uri().path().trim_start_matches('/').to_owned();
    let (sender, answers) = channel();
    tokio::spawn(async move {
        let mut messages = request.into_body();
        while let Some(Ok(frame)) = messages.frame().await {
            let _ = sender.send(frame);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        let _ = sender.send(Frame::trailers(trailers));
    });
    Response::builder()
        .header("content-type", "application/grpc")
        .body(answers)
        .unwrap()
}

fn grpc_mesh(callee: &App) -> Arc<TestMesh> {
    let mut topology = topology();
    topology.targets[0].protocol = AppProtocol::Grpc;
    topology.edges[0].policy.attempt_timeout = Duration::from_millis(100);
    topology.edges[0].policy.call_timeout = Duration::from_millis(300);
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[callee.address]);
    Arc::new(mesh)
}

/// A client of the data plane's server over one HTTP/2 connection.
async fn grpc_client(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Channel> {
    let stream = TokioIo::new(connect(address).await);
    let (client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn grpc_request(address: SocketAddr, status: &str, body: Channel) -> Request<Channel> {
    Request::post(format!("http://{address}/{status}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

async fn trailers(response: Response<Incoming>) -> HeaderMap {
    let collected = response.into_body().collect().await.unwrap();
    collected.trailers().cloned().unwrap()
}

#[tokio::test]
async fn a_conversation_outlives_every_timeout() {
    let callee = App::http(grpc_echo).await;
    let mesh = grpc_mesh(&callee);
    let (address, _server) = front(mesh.clone(), Protocol::Grpc).await;
    let mut client = grpc_client(address).await;
    let (sender, body) = channel();
    // The answer's head comes before the request has ended, and both go on for as long as they like.
    let mut response = client
        .send_request(grpc_request(address, "0", body))
        .await
        .unwrap();
    for message in ["one", "two", "three"] {
        sender.send(data(message)).unwrap();
        assert_eq!(next(response.body_mut()).await.unwrap(), message);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    drop(sender);
    let trailers = trailers(response).await;
    assert_eq!(trailers["grpc-status"], "0");
    eventually("its books are closed", || {
        mesh.target().replicas[0].in_flight == 0
    })
    .await;
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (1, 0));
}

#[tokio::test]
async fn a_client_stream_may_take_its_time_before_the_first_answer() {
    // Sends nothing back, not even a head, before it has everything.
    let callee = App::http(|request: Request<Incoming>| async move {
        let all = request.into_body().collect().await.unwrap().to_bytes();
        let (sender, body) = channel();
        sender.send(Frame::data(all)).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        sender.send(Frame::trailers(trailers)).unwrap();
        Response::new(body)
    })
    .await;
    let mesh = grpc_mesh(&callee);
    let (address, _server) = front(mesh.clone(), Protocol::Grpc).await;
    let mut client = grpc_client(address).await;
    let (sender, body) = channel();
    let feeding = tokio::spawn(async move {
        for _ in 0..4 {
            sender.send(data("x")).unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    });
    let response = client
        .send_request(grpc_request(address, "0", body))
        .await
        .unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "xxxx");
    feeding.await.unwrap();
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (1, 0));
}

#[tokio::test]
async fn trailers_tell_how_a_call_ended() {
    let callee = App::http(grpc_echo).await;
    let mesh = grpc_mesh(&callee);
    let (address, _server) = front(mesh.clone(), Protocol::Grpc).await;
    let mut client = grpc_client(address).await;
    for (status, failures) in [("0", 0), ("5", 0), ("13", 1), ("14", 2), ("8", 3)] {
        let (sender, body) = channel();
        drop(sender);
        let response = client
            .send_request(grpc_request(address, status, body))
            .await
            .unwrap();
        let trailers = trailers(response).await;
        assert_eq!(trailers["grpc-status"], status);
        eventually("it is counted", || mesh.edge().failures == failures).await;
    }
    assert_eq!(
        callee.count(),
        5,
        "a failed unary call without a key is not tried again"
    );
}

#[tokio::test]
async fn a_stream_that_the_callee_refuses_is_tried_again() {
    let callee = refusing_once().await;
    let mesh = grpc_mesh(&callee);
    let (sender, body) = channel();
    sender.send(data("x")).unwrap();
    drop(sender);
    let request = Request::post("/0")
        .header("te", "trailers")
        .body(Body::boxed(body))
        .unwrap();
    let response = mesh
        .call_as("front", "back", request, Protocol::Grpc)
        .await
        .unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(mesh.edge().attempts, 2);
}

#[tokio::test]
async fn the_host_of_a_front_door_survives_http2() {
    let callee = App::http(|request: Request<Incoming>| async move {
        let forwarded = request.headers()["x-forwarded-host"].to_str().unwrap();
        Response::new(format!("{} {forwarded}", request.uri().authority().unwrap()))
    })
    .await;
    let mesh = grpc_mesh(&callee);
    let caller = mesh.mesh.caller(&app("front")).unwrap();
    let call = Call {
        caller: caller.with_client("203.0.113.9".parse().unwrap()),
        target: Target::Name("back".to_owned()),
        request: Request::get("http://shop.example/").body(Body::empty()).unwrap(),
        protocol: Protocol::Http,
        takes_fixed_answer: true,
    };
    let response = mesh.mesh.call(call).await.unwrap();
    assert_eq!(crate::support::text(response).await, "shop.example shop.example");
}

/// Refuses the first stream of each connection, and answers all others.
async fn refusing_once() -> App {
    App::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut is_first = true;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            if std::mem::take(&mut is_first) {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                continue;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_trailers(trailers).unwrap();
        }
    })
    .await
}
