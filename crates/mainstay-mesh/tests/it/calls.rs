//! Plain calls: what the callee sees and what the caller gets.

use http::{Response, StatusCode};
use mainstay_mesh::{Protocol, Reason};

use crate::support::{App, TestMesh, get, text, topology};

#[tokio::test]
async fn a_call_reaches_the_callee_and_its_answer_comes_back() {
    let app = App::http1(|request| async move {
        let path = request.uri().to_string();
        Response::builder()
            .status(StatusCode::CREATED)
            .body(path.into())
            .unwrap()
    })
    .await;
    let mesh = TestMesh::with_replicas(&[app.address]);
    let response = mesh.call(get("/orders?limit=3")).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(text(response).await, "/orders?limit=3");
    assert_eq!(app.count(), 1);
}

#[tokio::test]
async fn unknown_and_undeclared_targets_are_refused() {
    let mesh = TestMesh::start(topology());
    let error = mesh
        .call_as("front", "nobody", get("/"), Protocol::Http)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::UnknownTarget);
    let error = mesh
        .call_as("back", "front", get("/"), Protocol::Http)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::UnknownTarget);
}
