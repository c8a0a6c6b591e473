//! Answers that pause. The time of these tests stands still and moves by hand.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use http::{Response, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use mainstay_mesh::Body;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{advance, pause, resume};

use crate::support::{App, TestMesh, channel, data, eventually, get, next, topology};

/// A mesh whose attempts may take `attempt_timeout`, and an answer through it of which the first part has come. It says
/// its `length`, or not.
struct Begun {
    mesh: TestMesh,
    body: Body,
    rest: UnboundedSender<Frame<Bytes>>,
    _app: App,
}

impl Begun {
    async fn new(length: Option<u32>, attempt_timeout: Duration) -> Self {
        let (hand_over, mut handed_over) = tokio::sync::mpsc::unbounded_channel();
        let app = App::http(move |_| {
            let (rest, body) = channel();
            rest.send(data("begun")).unwrap();
            hand_over.send(rest).unwrap();
            let mut response = Response::new(body);
            if let Some(length) = length {
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_LENGTH, length.into());
            }
            std::future::ready(response)
        })
        .await;
        let mut topology = topology();
        topology.edges[0].policy.attempt_timeout = attempt_timeout;
        let mesh = TestMesh::start(topology);
        mesh.set_replicas("back", &[app.address]);
        let mut body = mesh.call(get("/")).await.unwrap().into_body();
        assert_eq!(next(&mut body).await.unwrap(), "begun");
        let rest = handed_over.recv().await.unwrap();
        Self {
            mesh,
            body,
            rest,
            _app: app,
        }
    }

    /// What comes when the answer is asked for more, without waiting for it.
    async fn ask(&mut self) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        poll_fn(|context| Poll::Ready(Pin::new(&mut self.body).poll_frame(context))).await
    }

    /// Nothing comes for `pause`, and the answer stays open.
    async fn pauses(&mut self, pause: Duration) {
        assert!(self.ask().await.is_pending());
        advance(pause).await;
        assert!(self.ask().await.is_pending());
    }
}

/// An answer stops in the middle, and is cut after `limit_s` and not before.
async fn is_cut(attempt_timeout_s: u64, limit_s: u64) {
    let mut begun = Begun::new(Some(10), Duration::from_secs(attempt_timeout_s)).await;
    pause();
    begun.pauses(Duration::from_millis(limit_s * 1000 - 100)).await;
    advance(Duration::from_millis(200)).await;
    let Poll::Ready(Some(Err(error))) = begun.ask().await else {
        panic!("it is still open after {limit_s} s");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    resume();
    let edge = begun.mesh.edge();
    assert_eq!((edge.calls, edge.failures), (1, 1));
    assert_eq!(begun.mesh.target().in_flight, 0);
    drop(begun.body);
    eventually("the connection is closed, not used again", || {
        begun.rest.is_closed()
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_known_length_that_stops_in_the_middle_is_cut() {
    is_cut(2, 10).await;
}

#[tokio::test]
async fn an_answer_of_known_length_may_pause_as_long_as_an_attempt_may_take() {
    is_cut(30, 30).await;
}

#[tokio::test]
async fn an_answer_of_known_length_may_pause_again_and_again() {
    let mut begun = Begun::new(Some(15), Duration::from_secs(2)).await;
    for part in ["again", "ended"] {
        pause();
        begun.pauses(Duration::from_secs(9)).await;
        resume();
        begun.rest.send(data(part)).unwrap();
        assert_eq!(next(&mut begun.body).await.unwrap(), part);
    }
    assert!(begun.body.frame().await.is_none());
    let edge = begun.mesh.edge();
    assert_eq!((edge.calls, edge.failures), (1, 0));
}

#[tokio::test]
async fn an_answer_of_unknown_length_may_pause_for_as_long_as_it_likes() {
    let mut begun = Begun::new(None, Duration::from_secs(2)).await;
    assert_eq!(begun.mesh.target().in_flight, 1);
    pause();
    begun.pauses(Duration::from_secs(3)).await;
    assert_eq!(begun.mesh.target().in_flight, 0, "its place is free");
    begun.pauses(Duration::from_secs(3600)).await;
    resume();
    begun.rest.send(data("again")).unwrap();
    assert_eq!(next(&mut begun.body).await.unwrap(), "again");
    let edge = begun.mesh.edge();
    assert_eq!((edge.calls, edge.failures), (1, 0));
}
