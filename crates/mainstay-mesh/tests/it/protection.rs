//! Ejection, breakers, shedding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use mainstay_mesh::{Body, Call, EdgeConfig, Fallback, Protocol, Reason, Target, Topology};
use mainstay_policy::breaker::{BreakerState, Trip};
use mainstay_policy::gate::QueuePolicy;
use mainstay_policy::limiter::LimitPolicy;
use tokio::sync::Semaphore;

use crate::support::{App, PATIENCE, TestMesh, answer, edge, eventually, get, post, text, topology};

#[tokio::test]
async fn a_replica_that_fails_is_left_out_and_comes_back() {
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let moody = App::http(move |_| {
        let status = if is_healthy.load(Ordering::Relaxed) {
            200
        } else {
            500
        };
        async move { answer(status, "moody") }
    })
    .await;
    let good = App::fixed(200, "good").await;
    let mut topology = topology();
    topology.targets[0].policy.ejection.eject_min = Duration::from_millis(200);
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[moody.address, good.address]);
    let mut calls = 0;
    while !mesh.target().replicas[0].ejected {
        let _ = mesh.call(post("/", "x")).await.unwrap();
        calls += 1;
        assert!(calls < 200, "five failures in a row leave a replica out");
    }
    let before = moody.count();
    healthy.store(true, Ordering::Relaxed);
    let response = mesh.call(get("/")).await.unwrap();
    assert_eq!(text(response).await, "good");
    assert_eq!(moody.count(), before, "left out");
    let coming_back = async {
        while mesh.target().replicas[0].ejected {
            assert_eq!(mesh.call(get("/")).await.unwrap().status(), StatusCode::OK);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, coming_back).await.unwrap();
    assert_eq!(moody.count(), before + 1, "one call tried it");
}

#[tokio::test]
async fn the_last_replica_is_never_left_out() {
    let bad = App::fixed(500, "bad").await;
    let mesh = TestMesh::with_replicas(&[bad.address]);
    for _ in 0..30 {
        assert_eq!(text(mesh.call(post("/", "x")).await.unwrap()).await, "bad");
    }
    assert!(!mesh.target().replicas[0].ejected);
}

/// An edge whose breaker opens after three failures in a row.
pub(crate) fn nervous(fallback: Option<Fallback>) -> EdgeConfig {
    let mut edge = edge("front", "back");
    edge.policy.breaker.trip = Trip::ConsecutiveFailures(2);
    edge.policy.breaker.open_min = Duration::from_millis(200);
    edge.policy.breaker.ramp = Duration::from_millis(10);
    edge.fallback = fallback;
    edge
}

#[tokio::test]
async fn a_breaker_opens_and_closes_again() {
    let healthy = Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let app = App::http(move |_| {
        let status = if is_healthy.load(Ordering::Relaxed) {
            200
        } else {
            500
        };
        async move { answer(status, "") }
    })
    .await;
    let mesh = TestMesh::start(Topology {
        edges: vec![nervous(None)],
        ..topology()
    });
    mesh.set_replicas("back", &[app.address]);
    for _ in 0..3 {
        text(mesh.call(post("/", "x")).await.unwrap()).await;
    }
    assert_eq!(mesh.edge().breaker, BreakerState::Open);
    let error = mesh.call(get("/")).await.unwrap_err();
    assert_eq!(error.reason, Reason::BreakerOpen);
    assert!(error.retry_after.is_some());
    assert_eq!(app.count(), 3);
    healthy.store(true, Ordering::Relaxed);
    let closing = async {
        while mesh.edge().breaker != BreakerState::Closed {
            if let Ok(response) = mesh.call(get("/")).await {
                assert_eq!(response.status(), StatusCode::OK);
                text(response).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closing).await.unwrap();
}

/// A callee that works on each request until it gets a permit, and takes `limit` at a time.
async fn busy(limit: u32, max_waiting: usize) -> (TestMesh, App, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let held = permits.clone();
    let app = App::http(move |_| {
        let held = held.clone();
        async move {
            held.acquire().await.unwrap().forget();
            answer(200, "done")
        }
    })
    .await;
    let mut topology = topology();
    let policy = &mut topology.targets[0].policy;
    policy.limit = LimitPolicy {
        initial: limit,
        min: limit,
        max: limit,
        latency: Duration::from_secs(1),
    };
    policy.queue = QueuePolicy {
        max_waiting,
        target: Duration::from_secs(5),
        interval: Duration::from_secs(5),
    };
    let mesh = TestMesh::start(topology);
    mesh.set_replicas("back", &[app.address]);
    (mesh, app, permits)
}

fn with_priority(priority: &'static str) -> Request<Body> {
    Request::get("/")
        .header("mainstay-priority", priority)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn more_than_the_callee_can_take_is_turned_away() {
    let (mesh, app, permits) = busy(2, 1).await;
    let mesh = Arc::new(mesh);
    let mut calls = tokio::task::JoinSet::new();
    let mut call = |request| {
        let mesh = mesh.clone();
        calls.spawn(async move { mesh.call(request).await.map(|response| response.status()) });
    };
    call(get("/"));
    call(get("/"));
    eventually("two are inside", || app.count() == 2).await;
    call(with_priority("low"));
    eventually("one waits", || mesh.target().waiting == 1).await;
    let error = mesh.call(with_priority("low")).await.unwrap_err();
    assert_eq!(error.reason, Reason::Shed);
    assert!(error.retry_after.is_some());
    // A call that matters more takes the place of one that matters less.
    call(with_priority("critical"));
    let displaced = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(displaced.reason, Reason::Shed);
    permits.add_permits(3);
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!((app.count(), mesh.target().shed), (3, 2));
    assert_eq!((mesh.target().in_flight, mesh.target().waiting), (0, 0));
}

#[tokio::test]
async fn a_caller_that_leaves_makes_room() {
    let (mesh, app, permits) = busy(1, 1).await;
    {
        let inside = mesh.call(get("/"));
        assert!(
            tokio::time::timeout(Duration::from_millis(30), inside)
                .await
                .is_err()
        );
    }
    let waiting = mesh.call(get("/"));
    permits.add_permits(2);
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
    assert_eq!(app.count(), 2);
}

#[tokio::test]
async fn a_front_door_has_no_say_in_priorities() {
    let (mesh, app, permits) = busy(1, 1).await;
    let mesh = Arc::new(mesh);
    let first = {
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.call(get("/")).await })
    };
    eventually("one is inside", || app.count() == 1).await;
    let second = {
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.call(get("/")).await })
    };
    eventually("one waits", || mesh.target().waiting == 1).await;
    let caller = mesh.mesh.caller(&crate::support::app("front")).unwrap();
    let call = Call {
        caller: caller.with_client("203.0.113.9".parse().unwrap()),
        target: Target::Name("back".to_owned()),
        request: with_priority("critical"),
        protocol: Protocol::Http,
        takes_fixed_answer: true,
    };
    assert_eq!(mesh.mesh.call(call).await.unwrap_err().reason, Reason::Shed);
    permits.add_permits(2);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
}

/// An app passes on that something behind it sheds: it is a failure, and at the same time a request for fewer calls.
#[tokio::test]
async fn a_callee_that_is_unavailable_is_given_fewer_calls_at_a_time() {
    let app = App::fixed(503, "something behind me is full").await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let limit = |mesh: &TestMesh| mesh.target().replicas[0].limit;
    let before = limit(&mesh);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while limit(&mesh) == before {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the limit stays at {before}"
        );
        let _ = mesh.call(post("/", "x")).await;
    }
    assert!(limit(&mesh) < before);
    assert!(mesh.edge().failures > 0);
}

#[tokio::test]
async fn a_call_waits_for_a_replica_that_restarts() {
    let app = App::fixed(200, "back again").await;
    let mesh = Arc::new(TestMesh::with_replicas(&[]));
    let call = {
        let mesh = mesh.clone();
        tokio::spawn(async move { text(mesh.call(get("/")).await.unwrap()).await })
    };
    eventually("the call is inside", || mesh.target().in_flight == 1).await;
    mesh.set_replicas("back", &[app.address]);
    assert_eq!(call.await.unwrap(), "back again");
}

#[tokio::test]
async fn a_call_does_not_wait_for_a_replica_for_ever() {
    let mesh = TestMesh::with_replicas(&[]);
    let request = Request::get("/")
        .header("mainstay-deadline-ms", "50")
        .body(Body::empty());
    let error = mesh.call(request.unwrap()).await.unwrap_err();
    assert_eq!(error.reason, Reason::NoReplica);
    assert_eq!(
        error.to_string(),
        "the call front->back found no replica of `back` ready: see `mainstay status`"
    );
}

#[tokio::test]
async fn a_replica_that_leaves_ends_its_calls() {
    let (mesh, app, permits) = busy(4, 4).await;
    let mesh = Arc::new(mesh);
    let call = {
        let mesh = mesh.clone();
        tokio::spawn(async move { text(mesh.call(get("/")).await.unwrap()).await })
    };
    eventually("it works", || app.count() == 1).await;
    let replica = mesh.target().replicas[0].replica.clone();
    let draining = {
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.mesh.drain(&replica, PATIENCE).await })
    };
    eventually("it gets no more calls", || mesh.target().replicas.is_empty()).await;
    assert!(!draining.is_finished());
    permits.add_permits(1);
    assert_eq!(call.await.unwrap(), "done");
    tokio::time::timeout(PATIENCE, draining).await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_is_bounded() {
    let (mesh, app, _permits) = busy(4, 4).await;
    let mesh = Arc::new(mesh);
    let call = {
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.call(get("/")).await })
    };
    eventually("it works", || app.count() == 1).await;
    let replica = mesh.target().replicas[0].replica.clone();
    let draining = mesh.mesh.drain(&replica, Duration::from_millis(20));
    tokio::time::timeout(PATIENCE, draining).await.unwrap();
    call.abort();
}
