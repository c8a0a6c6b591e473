//! Plain calls: what the callee sees and what the caller gets.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body::Frame;
use mainstay_base::ReplicaId;
use mainstay_mesh::{AppProtocol, Body, Call, Protocol, Reason, Target, Topology};

use crate::support::{
    Answer, App, TestMesh, answer, app, edge_policy, eventually, get, post, target, text, topology,
};

#[tokio::test]
async fn a_call_reaches_the_callee_and_its_answer_comes_back() {
    let app = App::http(|request| async move {
        let path = request.uri().to_string();
        http::Response::builder().status(201).body(path).unwrap()
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let response = mesh.call(get("/orders?limit=3")).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(text(response).await, "/orders?limit=3");
    assert_eq!(app.count(), 1);
    assert_eq!(mesh.edge().calls, 1);
}

#[tokio::test]
async fn each_replica_can_be_told_and_no_other_answers_for_it() {
    let apps = [App::fixed(200, "first").await, App::fixed(200, "second").await];
    let mesh = TestMesh::with_replicas(&apps.each_ref().map(|app| app.address));
    let told = async |replica: ReplicaId| {
        let call = Call {
            caller: mesh.mesh.caller(&app("front")).unwrap(),
            target: Target::Replica(replica),
            request: get("/"),
            protocol: Protocol::Http,
            takes_fixed_answer: true,
        };
        mesh.mesh.call(call).await
    };
    let mut replicas = mesh.mesh.replicas("back");
    replicas.sort_by_key(|replica| replica.index);
    assert_eq!(replicas.len(), 2);
    for (replica, expected) in replicas.into_iter().zip(["first", "second"]) {
        for _ in 0..5 {
            assert_eq!(text(told(replica.clone()).await.unwrap()).await, expected);
        }
    }
    let gone = ReplicaId {
        app: app("back"),
        index: 9,
    };
    assert_eq!(told(gone).await.unwrap_err().reason, Reason::NoReplica);
    assert!(mesh.mesh.replicas("nobody").is_empty());
}

#[tokio::test]
async fn unknown_and_undeclared_targets_are_refused() {
    let mut topology = topology();
    topology.targets.push(target("front"));
    let mesh = TestMesh::start(topology);
    let unknown = mesh
        .call_as("front", "nobody", get("/"), Protocol::Http)
        .await
        .unwrap_err();
    assert_eq!(unknown.reason, Reason::UnknownTarget);
    let refused = mesh
        .call_as("back", "front", get("/"), Protocol::Http)
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotAllowed);
    assert_eq!(
        refused.to_string(),
        "`back` may not call `front`: add it to `calls:` of back in the manifest"
    );
}

#[tokio::test]
async fn undeclared_targets_are_allowed_where_the_topology_says_so() {
    let callee = App::fixed(200, "ok").await;
    let mesh = TestMesh::start(Topology {
        targets: vec![target("back"), target("front")],
        undeclared: Some(edge_policy()),
        ..Topology::default()
    });
    mesh.set_replicas("back", &[callee.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(text(response).await, "ok");
    assert_eq!(mesh.edge().calls, 1);
}

#[tokio::test]
async fn an_app_may_call_itself() {
    let callee = App::fixed(200, "me").await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    let response = mesh
        .call_as("back", "back", get("/"), Protocol::Http)
        .await
        .unwrap();
    assert_eq!(text(response).await, "me");
}

#[tokio::test]
async fn connections_are_used_again() {
    let app = App::raw(|stream| async move {
        let service =
            hyper::service::service_fn(|_| async { Ok::<Answer, hyper::Error>(answer(200, "hello")) });
        let io = hyper_util::rt::TokioIo::new(stream);
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await;
    })
    .await;
    let mesh = Arc::new(TestMesh::with_replicas(&[app.address]));
    let caller = mesh.clone();
    mesh.on_worker(async move {
        for _ in 0..20 {
            assert_eq!(text(caller.call(get("/")).await.unwrap()).await, "hello");
        }
    })
    .await;
    assert_eq!(app.count(), 1, "connections");
    assert_eq!(mesh.target().in_flight, 0);
}

#[tokio::test]
async fn an_old_callee_does_not_make_the_answer_old() {
    let app = App::scripted(b"HTTP/1.0 200 OK\r\n\r\nold").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_11);
    assert_eq!(text(response).await, "old");
}

#[tokio::test]
async fn a_connection_that_the_callee_closed_fails_nobody() {
    // Answers one request per connection and closes without a word.
    let app = App::scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    for _ in 0..20 {
        assert_eq!(text(mesh.call(get("/")).await.unwrap()).await, "ok");
    }
}

/// Shows the head of each request as lines.
async fn show_head(request: Request<hyper::body::Incoming>) -> http::Response<String> {
    let lines = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    let mut body = format!("{:?}\n", request.version());
    body.extend(lines);
    http::Response::builder()
        .header("connection", "x-internal")
        .header("x-internal", "1")
        .header("keep-alive", "timeout=5")
        .body(body)
        .unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))
}

#[tokio::test]
async fn headers_of_one_hop_stay_there_and_the_callee_learns_who_calls() {
    let callee = App::http(show_head).await;
    let mut topology = topology();
    topology.targets[0].token = Some("app-secret".parse().unwrap());
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[callee.address]);
    let request = Request::get("/")
        .header("host", "localhost:3500")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authorization", "Basic x")
        .header("te", "gzip")
        .header("upgrade", "h2c")
        .header("dapr-caller-app-id", "somebody-else")
        .header("dapr-api-token", "stolen")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-kept", "1")
        .body(Body::empty())
        .unwrap();
    let response = mesh.call(request).await.unwrap();
    assert!(response.headers().get("x-internal").is_none());
    assert!(response.headers().get("keep-alive").is_none());
    let head = text(response).await;
    for gone in [
        "connection",
        "x-hop",
        "keep-alive",
        "proxy-authorization",
        "te",
        "upgrade",
    ] {
        assert_eq!(header(&head, gone), None, "{gone}\n{head}");
    }
    for (name, value) in [
        ("host", callee.address.to_string().as_str()),
        ("dapr-caller-app-id", "front"),
        ("dapr-caller-namespace", "default"),
        ("dapr-callee-app-id", "back"),
        ("dapr-api-token", "app-secret"),
        ("x-forwarded-for", "10.0.0.1, 127.0.0.1"),
        ("x-forwarded-host", "localhost:3500"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=127.0.0.1;by=_mainstay;proto=http"),
        ("x-kept", "1"),
        ("mainstay-deadline-ms", "2000"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{head}");
    }
    let traceparent = header(&head, "traceparent").unwrap();
    assert_eq!((traceparent.len(), &traceparent[52..]), (55, "-01"));
}

#[tokio::test]
async fn a_front_door_replaces_what_its_clients_claim() {
    let callee = App::http(show_head).await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    let caller = mesh.mesh.caller(&app("front")).unwrap();
    let request = Request::get("/")
        .header("host", "shop.example")
        .header("x-forwarded-for", "1.2.3.4")
        .header("forwarded", "for=1.2.3.4")
        .header("x-forwarded-proto", "https")
        .body(Body::empty())
        .unwrap();
    let call = Call {
        caller: caller.with_client("203.0.113.9".parse().unwrap()),
        target: Target::Name("back".to_owned()),
        request,
        protocol: Protocol::Http,
        takes_fixed_answer: true,
    };
    let head = text(mesh.mesh.call(call).await.unwrap()).await;
    for (name, value) in [
        ("host", "shop.example"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=203.0.113.9;by=_mainstay;proto=http"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{head}");
    }
}

#[tokio::test]
async fn a_trace_goes_on_as_the_caller_began_it() {
    let callee = App::http(show_head).await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let request = Request::get("/")
        .header("traceparent", given)
        .header("tracestate", "vendor=1")
        .body(Body::empty())
        .unwrap();
    let head = text(mesh.call(request).await.unwrap()).await;
    assert_eq!(
        header(&head, "traceparent"),
        Some(given),
        "no span of its own: nobody exports"
    );
    assert_eq!(header(&head, "tracestate"), Some("vendor=1"));
    let request = Request::get("/")
        .header("traceparent", "nonsense")
        .header("tracestate", "vendor=1")
        .body(Body::empty())
        .unwrap();
    let head = text(mesh.call(request).await.unwrap()).await;
    assert_ne!(header(&head, "traceparent"), Some("nonsense"));
    assert_eq!(header(&head, "tracestate"), None);
}

#[tokio::test]
async fn an_app_may_speak_http2() {
    let callee = App::http(show_head).await;
    let mut topology = topology();
    topology.targets[0].protocol = AppProtocol::H2c;
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[callee.address]);
    let response = mesh.call(get("/")).await.unwrap();
    let head = text(response).await;
    assert!(head.starts_with(&format!("{:?}", Version::HTTP_2)), "{head}");
}

#[tokio::test]
async fn connect_is_refused() {
    let mesh = TestMesh::with_replicas(&[]);
    let request = Request::connect("example.org:443").body(Body::empty()).unwrap();
    let error = mesh.call(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::InvalidRequest);
}

#[tokio::test]
async fn a_body_reaches_the_callee_whole() {
    let callee = App::http(|request| async move {
        let body = http_body_util::BodyExt::collect(request.into_body())
            .await
            .unwrap();
        http::Response::new(body.to_bytes().len().to_string())
    })
    .await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    assert_eq!(text(mesh.call(post("/", "hello")).await.unwrap()).await, "5");
    let large = Request::post("/").body(Body::full(vec![7; 3_000_000])).unwrap();
    assert_eq!(text(mesh.call(large).await.unwrap()).await, "3000000");
}

#[tokio::test]
async fn dropping_a_call_frees_what_it_holds() {
    let callee = App::http(|_| std::future::pending::<Answer>()).await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    for _ in 0..5 {
        let call = mesh.call(get("/"));
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(30), call)
                .await
                .is_err()
        );
    }
    assert_eq!(mesh.target().in_flight, 0);
    assert_eq!(mesh.target().replicas[0].in_flight, 0);
    assert_eq!(mesh.edge().calls, 5);
    assert_eq!(
        mesh.edge().failures,
        0,
        "a caller that goes away says nothing about the callee"
    );
}

#[tokio::test]
async fn dropping_an_answer_frees_what_it_holds() {
    let callee = App::http(|_| async { http::Response::new(Endless) }).await;
    let mesh = TestMesh::with_replicas(&[callee.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(mesh.target().in_flight, 1);
    drop(response);
    assert_eq!(mesh.target().in_flight, 0);
    eventually("the connection is closed", || {
        mesh.target().replicas[0].in_flight == 0
    })
    .await;
    assert_eq!(mesh.edge().calls, 1);
}

/// Data without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }
}
