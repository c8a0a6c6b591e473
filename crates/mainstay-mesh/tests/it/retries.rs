//! What is tried again, how often, and where.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mainstay_mesh::{Body, Reason};
use mainstay_policy::budget::BudgetPolicy;

use crate::support::{App, TestMesh, answer, closed_port, get, post, text, topology};

/// A POST that says by which key the callee recognises it.
fn keyed_post(body: Body) -> Request<Body> {
    Request::post("/")
        .header("idempotency-key", "7")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn an_idempotent_call_is_tried_again_on_another_replica() {
    let bad = App::fixed(500, "bad").await;
    let good = App::fixed(200, "good").await;
    let mesh = TestMesh::with_replicas(&[bad.address, good.address]);
    for _ in 0..10 {
        let response = mesh.call(get("/")).await.unwrap();
        assert_eq!(text(response).await, "good");
    }
    assert_eq!(good.count(), 10);
    assert_eq!(mesh.edge().attempts as usize, bad.count() + good.count());
}

#[tokio::test]
async fn other_calls_are_tried_once() {
    let app = App::fixed(500, "bad").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let response = mesh.call(post("/", "x")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(response).await, "bad");
    assert_eq!(app.count(), 1);
}

#[tokio::test]
async fn the_last_answer_is_passed_on() {
    let app = App::fixed(503, "still bad").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, "still bad");
    assert_eq!(app.count(), 3, "one attempt and two retries");
    assert_eq!(mesh.edge().failures, 1);
}

#[tokio::test]
async fn a_body_is_replayed_with_the_call() {
    let echo = |status: u16| {
        App::http(move |request| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::builder()
                .status(status)
                .body(http_body_util::Full::new(body))
                .unwrap()
        })
    };
    let (bad, good) = (echo(500).await, echo(200).await);
    let mesh = TestMesh::with_replicas(&[bad.address, good.address]);
    for _ in 0..10 {
        let body = Body::boxed(http_body_util::Full::from("precious"));
        let response = mesh.call(keyed_post(body)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "precious");
    }
    assert!(bad.count() > 0, "one of ten calls began at the bad replica");
}

#[tokio::test]
async fn a_large_body_is_not_replayed() {
    let app = App::http(|request| async move {
        let _ = request.into_body().collect().await;
        answer(500, "bad")
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let body = Body::boxed(http_body_util::Full::from(vec![0; 65 * 1024]));
    let response = mesh.call(keyed_post(body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(app.count(), 1);
}

#[tokio::test]
async fn a_refused_connection_moves_any_call_to_the_next_replica() {
    let good = App::fixed(200, "good").await;
    let mesh = TestMesh::with_replicas(&[closed_port().await, closed_port().await, good.address]);
    for _ in 0..10 {
        let response = mesh.call(post("/", "x")).await.unwrap();
        assert_eq!(text(response).await, "good");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let mesh = TestMesh::with_replicas(&[closed_port().await]);
    let error = mesh.call(post("/", "x")).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    let text = error.to_string();
    assert!(
        text.starts_with("the call front->back failed: `back` accepts no connection ("),
        "{text}"
    );
}

#[tokio::test]
async fn broken_answers() {
    for (bytes, reason) in [
        (&b""[..], Reason::Broken),
        (b"HTTP/1.1 200 OK\r\ncontent-le", Reason::Broken),
        (b"SSH-2.0-OpenSSH_9.7\r\n\r\n", Reason::Garbage),
        (b"HTTP/1.1 OK\r\n\r\n", Reason::Garbage),
    ] {
        let app = App::scripted(bytes).await;
        let mesh = TestMesh::with_replicas(&[app.address]);
        let error = mesh.call(post("/", "x")).await.unwrap_err();
        assert_eq!(error.reason, reason, "{bytes:?}");
        assert_eq!(app.count(), 1, "not idempotent");
        let error = mesh.call(get("/")).await.unwrap_err();
        assert_eq!(error.reason, reason, "{bytes:?}");
        assert_eq!(app.count(), 4, "idempotent");
    }
}

#[tokio::test]
async fn a_head_without_end_is_garbage() {
    let app = App::raw(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(b"x-more: and more and more and more\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let error = mesh.call(post("/", "x")).await.unwrap_err();
    assert_eq!(error.reason, Reason::Garbage);
}

#[tokio::test]
async fn a_callee_that_protects_itself_is_not_asked_again() {
    for (status, name, value) in [
        (503, "retry-after", "1"),
        (429, "x-any", "1"),
        (500, "mainstay-do-not-retry", "1"),
    ] {
        let app = App::http(move |_| async move {
            let mut answer = answer(status, "no");
            answer.headers_mut().insert(name, value.parse().unwrap());
            answer
        })
        .await;
        let mesh = TestMesh::with_replicas(&[app.address]);
        let response = mesh.call(get("/")).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(app.count(), 1, "{status} {name}");
    }
}

#[tokio::test]
async fn retries_keep_within_their_budget() {
    let app = App::fixed(500, "bad").await;
    let mut topology = topology();
    topology.edges[0].policy.budget = BudgetPolicy {
        ratio: 0.2,
        min_per_second: 0.0,
        window: Duration::from_secs(10),
    };
    // The breaker and the ejection of replicas are for other tests.
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[app.address]);
    for _ in 0..100 {
        let _ = mesh.call(get("/")).await.unwrap();
    }
    assert!(
        (110..=120).contains(&app.count()),
        "{} attempts for 100 calls",
        app.count()
    );
}

#[tokio::test]
async fn a_replica_dies_under_load_and_nobody_notices() {
    let slow = |_| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        answer(200, "ok")
    };
    let mut apps = [
        App::http(slow).await,
        App::http(slow).await,
        App::http(slow).await,
    ]
    .map(Some);
    let addresses = apps
        .each_ref()
        .map(|app| app.as_ref().map(|app| app.address).unwrap());
    let mesh = std::sync::Arc::new(TestMesh::with_replicas(&addresses));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mesh = mesh.clone();
        callers.spawn(async move {
            for _ in 0..100 {
                let response = mesh.call(get("/")).await.unwrap();
                assert_eq!(text(response).await, "ok");
            }
        });
    }
    crate::support::eventually("calls are under way", || mesh.edge().calls > 200).await;
    // Its connections break, and further ones are refused.
    apps[1] = None;
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert_eq!(mesh.edge().calls, 1600);
    assert!(mesh.edge().attempts > 1600, "the dead replica was tried");
}
