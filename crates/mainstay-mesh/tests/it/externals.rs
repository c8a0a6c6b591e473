//! Services that Mainstay does not run.

use http::{HeaderName, HeaderValue, Response};
use mainstay_base::Sla;
use mainstay_mesh::{Body, Call, ExternalConfig, Protocol, Reason, Target, Topology};

use crate::support::{App, TestMesh, app, edge, get, target_policy, text};

fn external(url: &str) -> Topology {
    Topology {
        externals: vec![ExternalConfig {
            tls: None,
            name: app("back"),
            url: url.parse().unwrap(),
            headers: vec![(
                HeaderName::from_static("x-key"),
                HeaderValue::from_static("secret"),
            )],
            sla: Sla::default(),
            policy: target_policy(),
        }],
        edges: vec![edge("front", "back")],
        ..Topology::default()
    }
}

async fn showing_app() -> App {
    App::http(|request| async move {
        let host = request.headers()["host"].to_str().unwrap();
        let key = request.headers()["x-key"].to_str().unwrap();
        Response::new(format!("{} {host} {key}", request.uri()))
    })
    .await
}

#[tokio::test]
async fn a_service_elsewhere_is_called_by_its_name() {
    let app = showing_app().await;
    let port = app.address.port();
    // `localhost` has to be resolved.
    let mesh = TestMesh::start(external(&format!("http://localhost:{port}/v2/")));
    let response = mesh.call(get("/charge?x=1")).await.unwrap();
    assert_eq!(
        text(response).await,
        format!("/v2/charge?x=1 localhost:{port} secret")
    );
}

#[tokio::test]
async fn a_service_elsewhere_is_called_by_its_url() {
    let app = showing_app().await;
    let port = app.address.port();
    let mesh = TestMesh::start(external(&format!("http://localhost:{port}/v2")));
    let call = |url: String| Call {
        caller: mesh.mesh.caller(&crate::support::app("front")).unwrap(),
        target: Target::Url(url),
        request: get("/charge"),
        protocol: Protocol::Http,
        takes_fixed_answer: true,
    };
    let response = mesh
        .mesh
        .call(call(format!("http://localhost:{port}/v2/sub")))
        .await
        .unwrap();
    assert_eq!(
        text(response).await,
        format!("/v2/sub/charge localhost:{port} secret")
    );
    for elsewhere in [
        format!("http://localhost:{port}/v20"),
        "http://example.org".to_owned(),
    ] {
        let error = mesh.mesh.call(call(elsewhere)).await.unwrap_err();
        assert_eq!(error.reason, Reason::UnknownTarget);
    }
}

#[tokio::test]
async fn a_name_that_leads_nowhere() {
    let mesh = TestMesh::start(external("http://nowhere.invalid"));
    let error = mesh.call(get("/")).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    let request = http::Request::post("/").body(Body::empty()).unwrap();
    let error = mesh.call(request).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
}
