//! Clients that are broken, slow or malicious.

use std::time::Duration;

use http::Method;
use mainstay_mesh::Body;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Callee, Front, app, echo, http2, in_time, raw, read_to_end, request};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(200);

async fn is_well(front: &Front) {
    assert_eq!(in_time(front.get("/v1.0/healthz")).await.told(), (204, ""));
}

#[tokio::test]
async fn malformed_requests_are_400() {
    let front = Front::start(&[]);
    for bytes in [
        &b"\r\n\x00\x01\x02\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    ] {
        let answer = raw(front.address, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer:?}");
        is_well(&front).await;
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_431() {
    let front = Front::start(&[]);
    let long = format!("GET / HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x-many: y\r\n".repeat(101));
    let endless = format!("GET / HTTP/1.1\r\nx-long: {}", "x".repeat(20_000));
    for request in [long, many, endless] {
        let answer = raw(front.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    }
    // The client may hear of the limit first and stay away.
    let mut sender = http2(front.address).await;
    let value = "x".repeat(20_000);
    let uri = format!("http://{}/v1.0/healthz", front.address);
    let call = request(Method::GET, &uri, &[("x-long", &value)]);
    if let Ok(response) = in_time(sender.send_request(call)).await {
        assert_eq!(response.status().as_u16(), 431);
    }
    is_well(&front).await;
}

#[tokio::test]
async fn a_body_that_is_held_in_memory_is_bounded() {
    let front = Front::start_with(&[], |options| options.limits.body_bytes = 1000);
    let body = r#"{"errorCode":"ERR_BODY_TOO_LARGE","message":"the body is larger than 1000 bytes"}"#;
    let mut announced = request(Method::PUT, "/v1.0/metadata/key", &[]);
    *announced.body_mut() = Body::full("x".repeat(1001));
    assert_eq!(front.send(announced).await.told(), (413, body));
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    let head = "PUT /v1.0/metadata/key HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let answer = raw(front.address, format!("{head}{chunk}").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with(body),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_one_that_breaks_off_harms_nobody() {
    let front = Front::start_with(&[], |options| options.limits.body_timeout = SHORT);
    let head = b"PUT /v1.0/metadata/key HTTP/1.1\r\ncontent-length: 5\r\nconnection: close\r\n\r\nab";
    let answer = raw(front.address, head).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(head).await.unwrap();
    drop(stream);
    is_well(&front).await;
}

#[tokio::test]
async fn large_bodies_that_pass_through_are_not_bounded() {
    let back = app(|request| async move {
        use http_body_util::BodyExt;
        let mut total = 0;
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            total += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        http::Response::new(Body::full(total.to_string()))
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let mut call = request(Method::POST, "/v1.0/invoke/back/method/upload", &[]);
    *call.body_mut() = Body::full(vec![7; 20 * 1024 * 1024]);
    assert_eq!(front.send(call).await.told(), (200, "20971520"));
}

#[tokio::test]
async fn a_slow_head_is_408() {
    let front = Front::start_with(&[], |options| options.limits.head_timeout = SHORT);
    let answer = raw(front.address, b"GET / HTTP/1.1\r\nhost: x\r\nx-slow:").await;
    let body = r#"{"errorCode":"ERR_REQUEST_TIMEOUT","message":"the request head did not arrive in time"}"#;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.ends_with(body),
        "{answer:?}"
    );

    // The second head of a connection is watched like the first.
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream
        .write_all(b"GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    in_time(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 204");
    stream.write_all(b"GET /").await.unwrap();
    let rest = read_to_end(&mut stream).await;
    assert!(rest.contains("HTTP/1.1 408 "), "{rest:?}");
    // It is counted when the connection's task ends, after we have heard the answer.
    in_time(async {
        while front.refused("head_timeout") < 2.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_all_the_same() {
    let front = Front::start_with(&[], |options| options.limits.head_timeout = SHORT);
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let trickle = async {
        stream.write_all(b"GET / HTTP/1.1\r\n").await?;
        loop {
            stream.write_all(b"x: y\r\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        #[expect(unreachable_code, reason = "names the type of the error")]
        std::io::Result::Ok(())
    };
    // It ends with a write that fails.
    assert!(in_time(trickle).await.is_err());
    is_well(&front).await;
}

#[tokio::test]
async fn a_preface_that_is_not_finished_is_cut() {
    let front = Front::start_with(&[], |options| options.limits.head_timeout = SHORT);
    assert_eq!(raw(front.address, b"PR").await, "");
    // Begins like HTTP/2 and is not.
    let answer = raw(
        front.address,
        b"PRX / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let (release, released) = tokio::sync::watch::channel(false);
    let back = app(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|done| *done).await.unwrap();
            http::Response::new(Body::full("done"))
        }
    });
    let front = Front::start_with(&[Callee::http("back", back.await)], |options| {
        options.limits.idle_timeout = SHORT;
    });
    // Never sends anything.
    assert_eq!(raw(front.address, b"").await, "");
    // Waits for an answer that takes its time.
    let mut busy = TcpStream::connect(front.address).await.unwrap();
    let call = b"GET /v1.0/invoke/back/method/a HTTP/1.1\r\nhost: x\r\n\r\n";
    busy.write_all(call).await.unwrap();
    // Sends one request and then nothing: closed after its answer.
    let idle = raw(front.address, b"GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 204 "), "{idle:?}");
    release.send_replace(true);
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("done"), "{answer:?}");
}

#[tokio::test]
async fn a_connection_that_was_put_aside_goes_on_as_if_nothing_had_happened() {
    let front = Front::start_with(&[Callee::http("back", echo().await)], |options| {
        options.limits.park_after = Duration::from_millis(1);
    });
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let get = "GET /v1.0/invoke/back/method/a HTTP/1.1\r\nhost: x\r\n\r\n";
    let post = "POST /v1.0/invoke/back/method/b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
    let pair = [get, get].concat();
    let last = get.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    // Pauses long enough to be put aside come between requests, within heads, and within bodies.
    let pieces = [
        get,
        get,
        &get[..1],
        &get[1..],
        &get[..40],
        &get[40..],
        &pair,
        post,
        &post[..20],
        &post[20..],
        &post[..post.len() - 2],
        &post[post.len() - 2..],
        &last,
    ];
    let writing = async {
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        read_to_end(&mut stream).await
    };
    let answers = in_time(writing).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 10, "{answers}");
    assert_eq!(answers.matches("GET /a").count(), 7);
    assert_eq!(answers.matches("POST /b").count(), 3);
    assert_eq!(answers.matches("hello").count(), 3);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let front = Front::start_with(&[], |options| options.limits.connections = 2);
    let first = TcpStream::connect(front.address).await.unwrap();
    let second = TcpStream::connect(front.address).await.unwrap();
    let mut third = TcpStream::connect(front.address).await.unwrap();
    third
        .write_all(b"GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let early = tokio::time::timeout(SHORT, third.readable()).await;
    assert!(early.is_err(), "the third must wait");
    drop(first);
    let answer = read_to_end(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer:?}");
    drop(second);
}

#[tokio::test]
async fn stopping_lets_requests_end_and_cuts_what_does_not() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let back = app(move |request| {
        let (mut released, arrived) = (released.clone(), arrived.clone());
        async move {
            arrived.send(()).unwrap();
            if request.uri().path() == "/never" {
                std::future::pending::<()>().await;
            }
            released.wait_for(|done| *done).await.unwrap();
            http::Response::new(Body::full("done"))
        }
    });
    let front = Front::start(&[Callee::http("back", back.await)]);
    let mut streams = Vec::new();
    for path in ["wait", "never"] {
        let mut stream = TcpStream::connect(front.address).await.unwrap();
        let call = format!("GET /v1.0/invoke/back/method/{path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(call.as_bytes()).await.unwrap();
        in_time(arrivals.recv()).await.unwrap();
        streams.push(stream);
    }
    let idle = TcpStream::connect(front.address).await.unwrap();
    let address = front.address;
    let stopping = tokio::spawn(front.server.stop(Duration::from_millis(500)));
    let mut idle = idle;
    assert_eq!(
        read_to_end(&mut idle).await,
        "",
        "an idle connection is closed at once"
    );
    release.send_replace(true);
    let answer = read_to_end(&mut streams[0]).await;
    assert!(answer.ends_with("done"), "{answer:?}");
    in_time(stopping).await.unwrap();
    assert_eq!(read_to_end(&mut streams[1]).await, "", "cut after the limit");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_nothing_else() {
    let front = Front::start(&[Callee::http("back", echo().await)]);
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    for index in 0..2000_u32 {
        let id = (index * 2 + 1).to_be_bytes();
        // GET http / by indexed fields of the static table, with END_HEADERS and END_STREAM; then CANCEL.
        bytes.extend(b"\x00\x00\x03\x01\x05");
        bytes.extend(id);
        bytes.extend(b"\x82\x86\x84");
        bytes.extend(b"\x00\x00\x04\x03\x00");
        bytes.extend(id);
        bytes.extend(b"\x00\x00\x00\x08");
    }
    // The server may close while we still write.
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    // GOAWAY is frame type 7; ENHANCE_YOUR_CALM is error 11.
    let calm = answer.windows(9).any(|frame| frame[3] == 7);
    assert!(calm || answer.is_empty(), "it must be told to go");
    is_well(&front).await;
}

#[test]
fn random_bytes_never_stop_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let front = runtime.block_on(async {
        Front::start_with(&[], |options| {
            options.limits.head_timeout = Duration::from_millis(20);
        })
    });
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        Just(b"host: x\r\n\r\n".to_vec()),
        Just(b"POST /v1.0/invoke/a/method/b HTTP/1.1\r\ncontent-length: 3\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
    runner
        .run(&proptest::collection::vec(piece, 1..5), |pieces| {
            runtime.block_on(async {
                let mut stream = TcpStream::connect(front.address).await.unwrap();
                let _ = stream.write_all(&pieces.concat()).await;
                let _ = stream.shutdown().await;
                let mut answer = Vec::new();
                let _ = in_time(stream.read_to_end(&mut answer)).await;
                is_well(&front).await;
            });
            Ok(())
        })
        .unwrap();
}
