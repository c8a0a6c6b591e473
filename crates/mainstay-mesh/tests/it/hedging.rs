//! A second attempt before the first has failed.

use std::time::Duration;

use mainstay_mesh::Body;
use mainstay_policy::hedge::HedgePolicy;

use crate::support::{Answer, App, TestMesh, get, post, text, topology};

fn hedged() -> mainstay_mesh::Topology {
    let mut topology = topology();
    topology.edges[0].policy.slow_after = Duration::from_millis(20);
    topology.edges[0].policy.hedge = Some(HedgePolicy {
        ratio: 1.0,
        min_delay: Duration::from_millis(5),
    });
    topology
}

#[tokio::test]
async fn a_slow_replica_is_overtaken_by_another() {
    let stuck = App::http(|_| std::future::pending::<Answer>()).await;
    let quick = App::fixed(200, "quick").await;
    let mesh = TestMesh::start(hedged());
    mesh.set_replicas("back", &[stuck.address, quick.address]);
    for _ in 0..10 {
        assert_eq!(text(mesh.call(get("/")).await.unwrap()).await, "quick");
    }
    assert_eq!(mesh.edge().attempts as usize, stuck.count() + quick.count());
    assert_eq!(mesh.target().in_flight, 0);
    assert_eq!(
        mesh.target().replicas[0].in_flight,
        0,
        "what is not needed is given up"
    );
    assert_eq!(mesh.edge().failures, 0);
}

#[tokio::test]
async fn what_must_not_happen_twice_is_not_hedged() {
    let slow = App::http(|_| async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        crate::support::answer(200, "slow")
    })
    .await;
    let mesh = TestMesh::start(hedged());
    mesh.set_replicas("back", &[slow.address, slow.address]);
    assert_eq!(text(mesh.call(post("/", "x")).await.unwrap()).await, "slow");
    let request = http::Request::post("/").body(Body::full("x")).unwrap();
    assert_eq!(text(mesh.call(request).await.unwrap()).await, "slow");
    assert_eq!(slow.count(), 2);
}
