//! Invocation over HTTP, in all of Dapr's forms.

use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use mainstay_base::Sla;
use mainstay_mesh::{AppProtocol, Body, ExternalConfig};
use mainstay_policy::derive::{Promise, derive_target};

use crate::support::{Callee, Front, app, app_id, echo, mesh, request};

#[tokio::test]
async fn every_form_reaches_the_callee() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let basic = "Basic ZGFwci1hcHAtaWQ6YmFjaw==";
    for (path, headers, line) in [
        ("/v1.0/invoke/back/method/a/b?x=1", vec![], "GET /a/b?x=1"),
        ("/v1.0/invoke/back.default/method/a", vec![], "GET /a"),
        ("//v1.0//invoke/back/method//a/../b/", vec![], "GET /b"),
        (
            "/v1.0/invoke/back/method/a%20b%2Fc?x=%20",
            vec![],
            "GET /a%20b/c?x=%20",
        ),
        ("/v1.0/invoke/back/method/", vec![], "GET /"),
        ("/a/b?x=1", vec![("dapr-app-id", "back")], "GET /a/b?x=1"),
        ("/a", vec![("dapr-app-id", "back.other")], "GET /a"),
        ("/a", vec![("authorization", basic)], "GET /a"),
        (
            "/v1.0/invoke/nobody/method/a",
            vec![("dapr-app-id", "back")],
            "GET /v1.0/invoke/nobody/method/a",
        ),
    ] {
        let answer = front.send(request(Method::GET, path, &headers)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.body.lines().next(), Some(line), "{path}");
    }
}

#[tokio::test]
async fn the_callee_sees_the_caller_and_not_the_address_label() {
    let back = Callee {
        token: Some("token-of-back"),
        ..Callee::http("back", echo().await)
    };
    let front = Front::with_token(&[back]);
    let headers = [
        ("dapr-app-id", "back"),
        ("dapr-api-token", "secret"),
        ("dapr-caller-app-id", "somebody-else"),
        ("x-own", "kept"),
    ];
    let mut request = request(Method::PUT, "/a", &headers);
    *request.body_mut() = Body::full("hello");
    let answer = front.send(request).await;
    let lines: Vec<_> = answer
        .body
        .lines()
        .filter(|line| !line.starts_with("x-forwarded"))
        .collect();
    assert_eq!(
        lines,
        [
            "PUT /a",
            "dapr-api-token: token-of-back",
            "dapr-callee-app-id: back",
            "dapr-caller-app-id: front",
            "dapr-caller-namespace: default",
            "x-own: kept",
            "hello",
        ]
    );
}

#[tokio::test]
async fn answers_come_back_as_they_are() {
    let back = app(|_| async {
        Response::builder()
            .status(418)
            .header("x-own", "kept")
            .header("content-type", "text/tea")
            .body(Body::full("short and stout"))
            .unwrap()
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let answer = front.get("/v1.0/invoke/back/method/brew").await;
    assert_eq!(answer.told(), (418, "short and stout"));
    assert_eq!(answer.header("x-own"), Some("kept"));
    assert_eq!(answer.header("content-type"), Some("text/tea"));
}

#[tokio::test]
async fn mistakes_are_told_in_the_words_of_dapr() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let direct = |message: &str| format!(r#"{{"errorCode":"ERR_DIRECT_INVOKE","message":"{message}"}}"#);
    let no_app_id = direct("failed getting app id either from the URL path or the header dapr-app-id");
    let invalid =
        "failed to invoke, id: back, err: rpc error: code = InvalidArgument desc = invalid method: method";
    for (path, status, body) in [
        ("/", 404, no_app_id.clone()),
        ("/nowhere", 404, no_app_id.clone()),
        ("/v1.0/invoke/back", 404, no_app_id.clone()),
        ("/v1.0/invoke/back/method", 404, no_app_id.clone()),
        (
            "/v1.0/invoke/back/method/a%23b",
            500,
            direct(&format!(r#"{invalid} contains forbidden character: \"a#b\""#)),
        ),
        (
            "/v1.0/invoke/back/method/a%09b",
            500,
            direct(&format!(
                r#"{invalid} contains control character at position 1: \"a\\tb\""#
            )),
        ),
        (
            "/v1.0/invoke/a.b.c/method/x",
            500,
            direct("failed to invoke, id: a.b.c, err: invalid app id a.b.c"),
        ),
        (
            "/v1.0/invoke/back/method/%zz",
            400,
            r#"{"errorCode":"ERR_BAD_REQUEST","message":"invalid request: invalid URL escape \"%zz\""}"#
                .to_owned(),
        ),
    ] {
        let answer = front.get(path).await;
        assert_eq!(answer.told(), (status, body.as_str()), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    }
}

#[tokio::test]
async fn a_callee_that_does_not_exist_or_runs_is_500_and_one_that_is_not_allowed_403() {
    let stopped = crate::support::listener().local_addr().unwrap();
    let front = Front::start(&[Callee::http("back", stopped)]);
    for (path, status, reason, id) in [
        ("/v1.0/invoke/nobody/method/a", 500, "unknown_target", "nobody"),
        ("/v1.0/invoke/back.x/method/a", 500, "connect_failed", "back.x"),
        (
            "/v1.0/invoke/http%3A%2F%2Fexample.org/method/a",
            500,
            "unknown_target",
            "http://example.org",
        ),
    ] {
        let answer = front.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        assert_eq!(answer.header("mainstay-reason"), Some(reason), "{path}");
        let start =
            format!(r#"{{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: {id}, err: "#);
        assert!(answer.body.starts_with(&start), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_edge_that_nobody_declared_is_403() {
    let back = Callee::http("back", echo().await);
    let mesh = crate::support::mesh(&[back], Vec::new());
    let front = Front::on(mesh, |options| options.app = crate::support::app_id("back"));
    let answer = front.get("/v1.0/invoke/front/method/a").await;
    assert_eq!(answer.status.as_u16(), 403);
    assert_eq!(answer.header("mainstay-reason"), Some("not_allowed"));
    assert!(
        answer.body.contains(r#""errorCode":"ERR_DIRECT_INVOKE""#),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn an_h2c_app_is_called_as_well() {
    let back = app(|request| async move {
        let text = format!("{:?} {}", request.version(), request.uri().path());
        Response::new(Body::full(text))
    });
    let front = Front::start(&[Callee::new("back", AppProtocol::H2c, back.await)]);
    let answer = front.get("/v1.0/invoke/back/method/a").await;
    assert_eq!(answer.told(), (200, "HTTP/2.0 /a"));
}

#[tokio::test]
async fn connect_is_refused() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let answer = crate::support::raw(
        front.address,
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\ndapr-app-id: back\r\nconnection: close\r\n\r\n",
    );
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    let body = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: back, err: rpc error: code = InvalidArgument desc = invalid HTTP verb"}"#;
    assert!(answer.ends_with(body), "{answer}");
}

#[tokio::test]
async fn head_has_no_body_and_unusual_verbs_pass() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let head = request(Method::HEAD, "/v1.0/invoke/back/method/a", &[]);
    assert_eq!(front.send(head).await.told(), (200, ""));
    let verb = Method::from_bytes(b"PROPFIND").unwrap();
    let answer = front.send(request(verb, "/v1.0/invoke/back/method/a", &[])).await;
    assert_eq!(answer.body.lines().next(), Some("PROPFIND /a"));
}

#[tokio::test]
async fn an_external_service_is_reached_by_name_and_by_url() {
    let address = echo().await;
    let external = ExternalConfig {
        tls: None,
        name: app_id("payments"),
        url: format!("http://{address}/base").parse().unwrap(),
        headers: vec![(
            HeaderName::from_static("x-key"),
            HeaderValue::from_static("of-manifest"),
        )],
        sla: Sla::default(),
        policy: derive_target(&Promise::nothing(app_id("payments")), 1).policy,
    };
    let front = Front::on(mesh(&[], vec![external]), |_| ());
    let escaped = format!("http%3A%2F%2F{address}%2Fbase");
    for path in [
        "/v1.0/invoke/payments/method/pay?x=1".to_owned(),
        format!("/v1.0/invoke/http://{address}/base/method/pay?x=1"),
        format!("/v1.0/invoke/{escaped}/method/pay?x=1"),
    ] {
        let answer = front.get(&path).await;
        assert_eq!(answer.body.lines().next(), Some("GET /base/pay?x=1"), "{path}");
        assert!(
            answer.body.contains("x-key: of-manifest\n"),
            "{path}: {}",
            answer.body
        );
    }
}
