//! Apps that break: the caller hears what happened, and nothing else suffers.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Callee, Front, echo, in_time, raw_app, request};

/// Reads the head of a request.
async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

/// An app that answers every request with these bytes and closes the connection.
async fn answering(bytes: &'static [u8]) -> Front {
    let back = raw_app(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    });
    let other = echo().await;
    Front::start(&[Callee::http("back", back.await), Callee::http("other", other)])
}

/// The other app does not suffer.
async fn reaches_other(front: &Front) {
    let answer = front.get("/v1.0/invoke/other/method/a").await;
    assert!(answer.body.starts_with("GET /a"), "{}", answer.body);
}

#[tokio::test]
async fn an_answer_that_is_no_http_or_none_is_500_with_the_reason() {
    for (bytes, reasons) in [
        (&b""[..], &["broken"][..]),
        (b"HTTP/1.1 200", &["broken", "garbage"]),
        (b"\x00\xff\x00\xff\r\n\r\n", &["garbage"]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", &["garbage"]),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", &["garbage"]),
    ] {
        let front = answering(bytes).await;
        // POST, so that it is not tried again.
        let answer = front
            .send(request(Method::POST, "/v1.0/invoke/back/method/a", &[]))
            .await;
        assert_eq!(answer.status.as_u16(), 500, "{bytes:?}: {}", answer.body);
        let reason = answer.header("mainstay-reason").unwrap();
        assert!(reasons.contains(&reason), "{bytes:?}: {reason}");
        let start = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: back, err: "#;
        assert!(answer.body.starts_with(start), "{bytes:?}: {}", answer.body);
        reaches_other(&front).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_seen_to_be_cut() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let front = answering(bytes).await;
        let call = request(
            Method::POST,
            "/v1.0/invoke/back/method/a",
            &[("host", "localhost")],
        );
        let response = in_time(mainstay_mesh::client::send(front.address, call))
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert!(in_time(response.into_body().collect()).await.is_err());
        reaches_other(&front).await;
    }
}

#[tokio::test]
async fn an_app_that_never_answers_is_504() {
    let back = raw_app(|mut stream| async move {
        read_head(&mut stream).await;
        // Holds the connection until the caller gives up.
        let _ = stream.read_u8().await;
        tokio::time::sleep(Duration::from_mins(1)).await;
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let answer = front
        .send(request(Method::POST, "/v1.0/invoke/back/method/a", &[]))
        .await;
    assert_eq!(answer.status.as_u16(), 504, "{}", answer.body);
    let reason = answer.header("mainstay-reason").unwrap();
    assert!(
        ["attempt_timeout", "deadline_exceeded"].contains(&reason),
        "{reason}"
    );
    assert!(answer.body.contains("ERR_DIRECT_INVOKE"), "{}", answer.body);
}
