//! Deadlines and timeouts: what they cut and what they leave alone.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use mainstay_mesh::{Body, Reason};
use tokio::sync::mpsc;

use crate::support::{Answer, App, TestMesh, channel, data, eventually, get, next, post, text, topology};

/// A mesh whose attempts may take 50 ms.
fn hasty(app: &App) -> TestMesh {
    let mut topology = topology();
    topology.edges[0].policy.attempt_timeout = Duration::from_millis(50);
    topology.edges[0].policy.call_timeout = Duration::from_millis(150);
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[app.address]);
    mesh
}

#[tokio::test]
async fn an_app_that_never_answers() {
    let app = App::http(|_| std::future::pending::<Answer>()).await;
    let mesh = hasty(&app);
    let error = mesh.call(post("/", "x")).await.unwrap_err();
    assert_eq!(error.reason, Reason::AttemptTimeout);
    assert_eq!(
        error.to_string(),
        "the call front->back failed: `back` did not answer within 50ms"
    );
    assert_eq!(mesh.edge().attempts, 1);
    let error = mesh.call(get("/")).await.unwrap_err();
    assert!(
        matches!(error.reason, Reason::AttemptTimeout | Reason::DeadlineExceeded),
        "{error}"
    );
    assert!(mesh.edge().attempts >= 3, "tried again within the deadline");
    assert_eq!(mesh.edge().failures, 2);
}

#[tokio::test]
async fn a_caller_brings_its_own_deadline() {
    let app = App::http(|_| std::future::pending::<Answer>()).await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    for (name, value) in [("mainstay-deadline-ms", "30"), ("grpc-timeout", "30m")] {
        let request = Request::get("/").header(name, value).body(Body::empty()).unwrap();
        let error = mesh.call(request).await.unwrap_err();
        assert_eq!(error.reason, Reason::DeadlineExceeded, "{name}");
    }
    assert_eq!(app.count(), 2, "no time for another attempt");
}

#[tokio::test]
async fn expired_work_is_refused() {
    let app = App::fixed(200, "too late").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let request = Request::get("/")
        .header("mainstay-deadline-ms", "0")
        .body(Body::empty());
    let error = mesh.call(request.unwrap()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Expired);
    let request = Request::get("/")
        .header("mainstay-deadline-ms", "soon")
        .body(Body::empty());
    let error = mesh.call(request.unwrap()).await.unwrap_err();
    assert_eq!(error.reason, Reason::InvalidRequest);
    assert!(
        error.to_string().ends_with("(`mainstay-deadline-ms` is no time)"),
        "{error}"
    );
    assert_eq!(app.count(), 0);
}

#[tokio::test]
async fn the_callee_learns_what_is_left() {
    let app = App::http(|request| async move {
        let left = |name| {
            request
                .headers()
                .get(name)
                .map_or("none", |value| value.to_str().unwrap())
        };
        Response::new(format!(
            "{} {}",
            left("mainstay-deadline-ms"),
            left("grpc-timeout")
        ))
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    assert_eq!(text(mesh.call(get("/")).await.unwrap()).await, "2000 none");
    let request = Request::get("/").header("grpc-timeout", "1S").body(Body::empty());
    let told = text(mesh.call(request.unwrap()).await.unwrap()).await;
    let (own, grpc) = told.split_once(' ').unwrap();
    assert!((900..=1000).contains(&own.parse::<u32>().unwrap()), "{told}");
    let micros: u32 = grpc.strip_suffix('u').unwrap().parse().unwrap();
    assert!((900_000..=1_000_000).contains(&micros), "{told}");
}

#[tokio::test]
async fn a_slow_upload_is_no_slow_callee() {
    let app = App::http(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::new(body))
    })
    .await;
    let mesh = hasty(&app);
    let (sender, body) = channel();
    let feeding = tokio::spawn(async move {
        for _ in 0..20 {
            sender.send(data("x")).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let request = Request::post("/").body(Body::boxed(body)).unwrap();
    let response = mesh.call(request).await.unwrap();
    assert_eq!(
        text(response).await.len(),
        20,
        "sent over twice the time that a call may take"
    );
    feeding.await.unwrap();
}

#[tokio::test]
async fn a_callee_that_takes_the_upload_and_never_answers() {
    let app = App::http(|request| async move {
        let _ = request.into_body().collect().await;
        std::future::pending::<Answer>().await
    })
    .await;
    let mesh = hasty(&app);
    let (sender, body) = channel();
    let feeding = tokio::spawn(async move {
        for _ in 0..5 {
            sender.send(data("x")).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let request = Request::post("/").body(Body::boxed(body)).unwrap();
    let error = mesh.call(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::AttemptTimeout);
    feeding.await.unwrap();
}

#[tokio::test]
async fn a_callee_that_does_not_read_the_upload() {
    let app = App::raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mesh = hasty(&app);
    let body = Body::full(vec![0; 64 * 1024 * 1024]);
    let request = Request::post("/").body(Body::boxed(body)).unwrap();
    let error = mesh.call(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::AttemptTimeout);
}

#[tokio::test]
async fn a_caller_that_breaks_off_its_upload() {
    let app = App::http(|request| async move {
        let _ = request.into_body().collect().await;
        std::future::pending::<Answer>().await
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let body = Body::boxed(BrokenOff(1));
    let error = mesh
        .call(Request::put("/").body(body).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::RequestBody);
    assert_eq!(mesh.edge().failures, 0, "not the callee's fault");
}

#[tokio::test]
async fn an_answer_without_known_length_may_take_its_time() {
    let app = App::http(|_| async {
        let (sender, body) = channel();
        tokio::spawn(async move {
            for _ in 0..10 {
                let _ = sender.send(data("tick "));
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
        Response::new(body)
    })
    .await;
    let mesh = hasty(&app);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(text(response).await, "tick ".repeat(10));
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (1, 0));
}

#[tokio::test]
async fn an_idle_stream_holds_no_place() {
    let (feed, streams) = mpsc::unbounded_channel();
    let app = App::http(move |request| {
        let feed = feed.clone();
        async move {
            let (sender, body) = channel();
            sender.send(data("first")).unwrap();
            feed.send(sender).unwrap();
            let content_type = request.uri().query().unwrap_or("text/plain").to_owned();
            Response::builder()
                .header("content-type", content_type)
                .body(body)
                .unwrap()
        }
    })
    .await;
    let mesh = hasty(&app);
    for content_type in ["text/event-stream;charset=utf-8", "application/x-ndjson"] {
        let mut response = mesh.call(get(&format!("/?{content_type}"))).await.unwrap();
        assert_eq!(next(response.body_mut()).await.unwrap(), "first");
        let waiting = tokio::spawn(async move { next(response.body_mut()).await });
        eventually("its place at the door is free", || mesh.target().in_flight == 0).await;
        assert_eq!(mesh.target().replicas[0].in_flight, 1, "it is open nevertheless");
        waiting.abort();
        eventually("it is closed", || mesh.target().replicas[0].in_flight == 0).await;
    }
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (2, 0));
    drop(streams);
}

#[tokio::test]
async fn an_answer_that_is_cut_in_the_middle() {
    let app = App::scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let mut response = mesh.call(get("/")).await.unwrap();
    assert_eq!(next(response.body_mut()).await.unwrap(), "half");
    let frame = response.body_mut().frame().await.unwrap();
    assert!(frame.is_err(), "the caller must not take it for the end");
    assert_eq!((mesh.edge().calls, mesh.edge().failures), (1, 1));
    assert_eq!(mesh.target().replicas[0].in_flight, 0);
}

/// A body that breaks off after some pieces.
struct BrokenOff(u32);

impl http_body::Body for BrokenOff {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(data("piece"))
            }
            None => Err(std::io::Error::other("gone")),
        }))
    }
}
