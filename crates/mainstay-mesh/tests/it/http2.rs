//! Shared connections of HTTP/2: flow control, streams that do not fit, connections that go away.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_mesh::{AppProtocol, Body, Topology};
use tokio::task::JoinSet;

use crate::support::{App, TestMesh, answer, channel, eventually, get, text, topology};

/// Larger than every window.
const LARGE: usize = 8 * 1024 * 1024;

fn h2c_topology() -> Topology {
    let mut topology = topology();
    topology.targets[0].protocol = AppProtocol::H2c;
    topology
}

fn mesh_to(callee: &App) -> TestMesh {
    let mesh = TestMesh::start(h2c_topology());
    mesh.set_replicas("back", &[callee.address]);
    mesh
}

fn upload() -> Request<Body> {
    // Boxed, so that it is a stream and not a piece of memory.
    let body = Body::boxed(Full::new(Bytes::from(vec![7; LARGE])));
    Request::post("/").body(body).unwrap()
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let callee = App::http(|request: Request<Incoming>| async { Response::new(request.into_body()) }).await;
    let mesh = mesh_to(&callee);
    let response = mesh.call(upload()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), LARGE);
    assert!(body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn an_answer_that_nobody_reads_does_not_hold_up_the_request() {
    let received = Arc::new(AtomicUsize::new(0));
    let counted = received.clone();
    let callee = App::http(move |request: Request<Incoming>| {
        let counted = counted.clone();
        async move {
            let (sender, body) = channel();
            tokio::spawn(async move {
                let mut upload = request.into_body();
                while let Some(Ok(frame)) = upload.frame().await {
                    counted.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::Relaxed);
                }
                drop(sender);
            });
            Response::new(body)
        }
    })
    .await;
    let mesh = mesh_to(&callee);
    let response = mesh.call(upload()).await.unwrap();
    eventually("all of the request is there", || {
        received.load(Ordering::Relaxed) == LARGE
    })
    .await;
    assert_eq!(text(response).await, "");
}

/// A callee whose connections take two streams at a time, and go away after so many requests.
async fn stingy(requests: usize) -> App {
    App::raw(move |stream| async move {
        let served = Arc::new(AtomicUsize::new(0));
        let count = served.clone();
        let service = service_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(answer(200, "ok"))
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(2);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut leaving = false;
        let _ = std::future::poll_fn(|context| {
            let polled = connection.as_mut().poll(context);
            if !leaving && served.load(Ordering::Relaxed) >= requests {
                leaving = true;
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(context);
            }
            polled
        })
        .await;
    })
    .await
}

async fn check_calls(callee: &App, count: usize) {
    let mesh = Arc::new(mesh_to(callee));
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let mesh = mesh.clone();
        calls.spawn(async move {
            let response = mesh.call(get("/")).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            text(response).await
        });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer == "ok"));
}

#[tokio::test]
async fn calls_that_find_no_stream_wait_for_one() {
    check_calls(&stingy(usize::MAX).await, 50).await;
}

#[tokio::test]
async fn a_connection_that_goes_away_fails_nobody() {
    check_calls(&stingy(5).await, 15).await;
}
