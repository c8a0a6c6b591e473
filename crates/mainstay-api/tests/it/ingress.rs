//! The front door.

use http::{Method, Request};
use http_body_util::BodyExt;
use mainstay_api::{IngressOptions, Limits, Metrics, Route, Server, serve_ingress};
use mainstay_mesh::{AppProtocol, Body, Mesh};

use crate::support::{Answer, Callee, app_id, echo, http2, in_time, listener, mesh, request, send};

fn route(host: Option<&str>, path: &str, app: &str) -> Route {
    Route {
        host: host.map(str::to_owned),
        path: path.to_owned(),
        app: app_id(app),
    }
}

fn door(mesh: Mesh, routes: Vec<Route>) -> Server {
    let options = IngressOptions {
        caller: app_id("door"),
        routes,
        limits: Limits::default(),
        metrics: Metrics::default(),
    };
    serve_ingress(listener(), options, mesh).unwrap()
}

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(server.address(), request(Method::GET, path, headers)).await
}

#[tokio::test]
async fn requests_go_where_the_routes_say() {
    let callees = [
        Callee::http("shop", echo().await),
        Callee::http("orders", echo().await),
    ];
    let routes = vec![
        route(None, "/", "shop"),
        route(None, "/orders", "orders"),
        route(Some("*.example.org"), "/", "orders"),
    ];
    let server = door(mesh(&callees, Vec::new()), routes);
    for (path, host, app) in [
        ("/", "a", "shop"),
        ("/ordersx", "a", "shop"),
        ("/orders/1?x=1", "a", "orders"),
        ("/", "eu.example.org:80", "orders"),
    ] {
        let answer = get(&server, path, &[("host", host)]).await;
        assert_eq!(answer.body.lines().next(), Some(format!("GET {path}").as_str()));
        let callee = format!("dapr-callee-app-id: {app}");
        assert!(answer.body.contains(&callee), "{path} {host}: {}", answer.body);
    }
}

#[tokio::test]
async fn strangers_cannot_pretend() {
    let server = door(
        mesh(&[Callee::http("shop", echo().await)], Vec::new()),
        vec![route(None, "/", "shop")],
    );
    let headers = [
        ("host", "shop.example"),
        ("dapr-app-id", "other"),
        ("dapr-caller-app-id", "admin"),
        ("dapr-api-token", "guess"),
        ("mainstay-priority", "critical"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "10.0.0.1"),
        ("x-own", "kept"),
    ];
    let answer = get(&server, "/a", &headers).await;
    assert_eq!(
        answer.body,
        "GET /a\n\
         dapr-callee-app-id: shop\n\
         dapr-caller-app-id: door\n\
         dapr-caller-namespace: default\n\
         x-forwarded-for: 127.0.0.1\n\
         x-forwarded-host: shop.example\n\
         x-forwarded-proto: http\n\
         x-own: kept\n"
    );
}

#[tokio::test]
async fn the_host_of_http2_reaches_the_app() {
    let server = door(
        mesh(&[Callee::http("shop", echo().await)], Vec::new()),
        vec![route(None, "/", "shop")],
    );
    let mut sender = http2(server.address()).await;
    let call = request(Method::GET, "http://shop.example/a?x=1", &[]);
    let response = in_time(sender.send_request(call)).await.unwrap();
    let body = in_time(response.into_body().collect()).await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.starts_with("GET /a?x=1\n"), "{body}");
    assert!(body.contains("x-forwarded-host: shop.example\n"), "{body}");
}

#[tokio::test]
async fn without_a_route_it_is_404() {
    let callees = [Callee::http("shop", echo().await)];
    let server = door(mesh(&callees, Vec::new()), vec![route(None, "/api", "shop")]);
    let answer = get(&server, "/other", &[("host", "shop.example:80")]).await;
    let body = r#"{"errorCode":"ERR_NO_ROUTE","message":"no app answers `/other` on host `shop.example`: see `ingress:` in the manifest"}"#;
    assert_eq!(answer.told(), (404, body));
}

#[tokio::test]
async fn failures_are_told_as_gateways_do_and_give_nothing_away() {
    let stopped = listener().local_addr().unwrap();
    let callees = [
        Callee::http("shop", stopped),
        Callee::new("rpc", AppProtocol::Grpc, stopped),
    ];
    let routes = vec![
        route(None, "/", "shop"),
        route(None, "/pkg.Service", "rpc"),
        route(None, "/none", "none"),
    ];
    let server = door(mesh(&callees, Vec::new()), routes);
    let answer = get(&server, "/", &[]).await;
    let body = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"the service cannot be reached"}"#;
    assert_eq!(answer.told(), (502, body));
    assert_eq!(answer.header("mainstay-reason"), Some("connect_failed"));
    assert_eq!(get(&server, "/none", &[]).await.status.as_u16(), 502);

    let mut sender = http2(server.address()).await;
    let uri = format!("http://{}/pkg.Service/Method", server.address());
    let call: Request<Body> = request(Method::POST, &uri, &[("content-type", "application/grpc")]);
    let response = in_time(sender.send_request(call)).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["mainstay-reason"], "connect_failed");
}
