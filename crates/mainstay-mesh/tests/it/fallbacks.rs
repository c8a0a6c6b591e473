//! What stands in for a bad answer.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mainstay_mesh::{AppProtocol, Body, EdgeConfig, Fallback, Protocol, Topology};

use crate::protection::nervous;
use crate::support::{
    Answer, App, TestMesh, answer, app, closed_port, edge, get, post, target, text, topology,
};

fn plan_b() -> Fallback {
    Fallback::Static {
        status: StatusCode::OK,
        content_type: HeaderValue::from_static("application/json"),
        body: Bytes::from_static(b"[]"),
    }
}

#[tokio::test]
async fn a_static_fallback_stands_in_for_every_failure() {
    let bad = App::fixed(500, "bad").await;
    let mesh = TestMesh::start(Topology {
        edges: vec![nervous(Some(plan_b()))],
        ..topology()
    });
    // No replica, then one that accepts no connection, then one that fails, then an open breaker.
    for addresses in [
        vec![],
        vec![closed_port().await],
        vec![bad.address],
        vec![bad.address],
    ] {
        mesh.set_replicas("back", &addresses);
        let response = mesh.call(post("/", "x")).await.unwrap();
        assert_eq!(response.headers()["mainstay-fallback"], "static");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(text(response).await, "[]");
    }
    assert_eq!(bad.count(), 1, "the breaker was open at last");
    let edge = mesh.edge();
    assert_eq!((edge.calls, edge.failures, edge.fallbacks), (4, 4, 4));
    assert_eq!(mesh.target().in_flight, 0);
}

#[tokio::test]
async fn a_good_answer_needs_no_fallback() {
    let good = App::fixed(404, "there is none").await;
    let mesh = TestMesh::start(Topology {
        edges: vec![nervous(Some(plan_b()))],
        ..topology()
    });
    mesh.set_replicas("back", &[good.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.headers().get("mainstay-fallback").is_none());
}

#[tokio::test]
async fn another_app_may_stand_in() {
    let bad = App::fixed(500, "bad").await;
    let spare = App::http(|request| async move {
        let names = ["dapr-callee-app-id", "x-forwarded-for"].map(|name| request.headers()[name].clone());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let names: Vec<_> = names
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect();
        Response::new(format!("{} {}", names.join(" "), body.len()))
    })
    .await;
    let mesh = TestMesh::start(Topology {
        targets: vec![target("back"), target("spare")],
        edges: vec![
            nervous(Some(Fallback::App(app("spare")))),
            EdgeConfig {
                fallback: Some(Fallback::App(app("back"))),
                ..edge("front", "spare")
            },
        ],
        ..Topology::default()
    });
    mesh.set_replicas("back", &[bad.address]);
    mesh.set_replicas("spare", &[spare.address]);
    let request = Request::post("/")
        .header("idempotency-key", "7")
        .body(Body::boxed(Full::from("four")));
    let response = mesh.call(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["mainstay-fallback"], "app spare");
    assert_eq!(text(response).await, "spare 127.0.0.1 4");
    // When the spare has nothing better to say, the first answer counts, and nothing goes in circles.
    mesh.set_replicas("spare", &[bad.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(text(response).await, "bad");
}

#[tokio::test]
async fn another_app_is_spoken_to_in_its_own_protocol() {
    let bad = App::fixed(500, "bad").await;
    let spare = App::scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nHTTP/1.1").await;
    let mut over_http2 = target("back");
    over_http2.protocol = AppProtocol::H2c;
    let mesh = TestMesh::start(Topology {
        targets: vec![over_http2, target("spare")],
        edges: vec![nervous(Some(Fallback::App(app("spare")))), edge("front", "spare")],
        ..Topology::default()
    });
    mesh.set_replicas("back", &[bad.address]);
    mesh.set_replicas("spare", &[spare.address]);
    let response = mesh.call(post("/", "x")).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1");
}

/// An answer without a body, whose status is told in the way of `protocol`.
fn status_of(protocol: Protocol, status: &HeaderValue) -> Answer {
    match protocol {
        Protocol::Http => answer(status.to_str().unwrap().parse().unwrap(), ""),
        Protocol::Grpc => Response::builder()
            .header("grpc-status", status)
            .body(Full::default())
            .unwrap(),
    }
}

#[tokio::test]
async fn a_bad_answer_of_another_app_does_not_stand_in() {
    let http = ["500", "404 stands in", "429", "501"];
    let grpc = ["14", "5 stands in", "0 stands in", "8", "13", "2", "12"];
    for (protocol, statuses) in [(Protocol::Grpc, &grpc[..]), (Protocol::Http, &http)] {
        let bad = HeaderValue::from_static(statuses[0]);
        let of_back = bad.clone();
        let back = App::http(move |_| std::future::ready(status_of(protocol, &of_back))).await;
        let spare = App::http(move |request| {
            std::future::ready(status_of(protocol, &request.headers()["wanted-status"]))
        })
        .await;
        let mut edge_to_back = edge("front", "back");
        edge_to_back.fallback = Some(Fallback::App(app("spare")));
        let mesh = TestMesh::start(Topology {
            targets: vec![target("back"), target("spare")],
            edges: vec![edge_to_back, edge("front", "spare")],
            ..Topology::default()
        });
        mesh.set_replicas("back", &[back.address]);
        mesh.set_replicas("spare", &[spare.address]);
        for (calls, case) in (1..).zip(statuses) {
            let (wanted, stands_in) = case
                .split_once(' ')
                .map_or((*case, false), |(wanted, _)| (wanted, true));
            let request = Request::post("/").header("wanted-status", wanted);
            let request = request.body(Body::empty()).unwrap();
            let response = mesh.call_as("front", "back", request, protocol).await.unwrap();
            let expected = if stands_in { wanted } else { statuses[0] };
            let got = match protocol {
                Protocol::Http => response.status().as_str().to_owned(),
                Protocol::Grpc => response.headers()["grpc-status"].to_str().unwrap().to_owned(),
            };
            assert_eq!(got, expected, "{protocol:?} {case}");
            let marked = response.headers().contains_key("mainstay-fallback");
            assert_eq!(marked, stands_in, "{protocol:?} {case}");
            assert_eq!(
                spare.count(),
                calls,
                "{protocol:?} {case}: the other app was asked"
            );
        }
    }
}
