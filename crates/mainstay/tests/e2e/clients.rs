//! Clients that misbehave: they are answered in words or cut, and others are served.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::faults::resident_bytes;
use crate::harness::{System, within};

const ONE: &str = "
apps:
  web: { command: testapp, ingress: {} }
";

#[expect(
    clippy::disallowed_methods,
    reason = "a client that speaks no proper HTTP needs a bare connection"
)]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends `bytes` and reads what comes until the connection is closed.
async fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address).await;
    // The server may answer and close before everything is sent.
    let _ = stream.write_all(bytes).await;
    read_to_end(stream).await
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset after the answer is an end as well.
    let _ = within("the connection is closed", read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ingress_address(system: &System) -> SocketAddr {
    system.addresses().await["ingress"]
        .as_str()
        .expect("text")
        .parse()
        .expect("an address")
}

/// Every address that clients reach: the front door, an app's API, the control API.
async fn doors(system: &System) -> Vec<SocketAddr> {
    let addresses = system.addresses().await;
    let control = addresses["control"]
        .as_str()
        .expect("text")
        .parse()
        .expect("an address");
    vec![
        ingress_address(system).await,
        system.api_address("web").await,
        control,
    ]
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let system = System::start(ONE).await;
    for address in doors(&system).await {
        for bytes in [
            &b"not HTTP at all\r\n\r\n"[..],
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /\x01 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ] {
            let answer = say(address, bytes).await;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
                "{:?}: {answer}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
    assert_eq!(system.ingress().await.get("/").await.status, 200);
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let system = System::start(ONE).await;
    let long = "x".repeat(64 * 1024);
    let many = "a: b\r\n".repeat(1000);
    for address in doors(&system).await {
        for request in [
            format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        ] {
            let answer = say(address, request.as_bytes()).await;
            let refused = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"];
            assert!(
                refused.iter().any(|status| answer.starts_with(status)),
                "{answer}"
            );
        }
    }
    assert_eq!(system.ingress().await.get("/").await.status, 200);
}

#[tokio::test]
async fn an_oversized_body_is_refused_where_it_would_be_held() {
    let system = System::start(ONE).await;
    let control = system.control().await;
    let answer = control
        .attempt(
            http::Method::POST,
            "/api/apps/nobody/restart",
            vec![b'x'; 64 * 1024 * 1024].into(),
        )
        .await;
    // Refused, cut or ignored; never held.
    drop(answer);
    let api = system.api("web").await;
    let body = vec![b'x'; 8 * 1024 * 1024];
    if let Ok(answer) = api
        .attempt(http::Method::PUT, "/v1.0/metadata/key", body.into())
        .await
    {
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    assert!(resident_bytes(system.process().pid()) < 128 * 1024 * 1024);
}

#[tokio::test]
async fn a_slow_loris_is_cut_while_others_are_served() {
    let system = System::start(ONE).await;
    let mut slow = Vec::new();
    for address in doors(&system).await {
        let mut stream = connect(address).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nslow: ")
            .await
            .expect("sent");
        slow.push(tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let drip = tokio::spawn(async move {
                while writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            });
            let mut answer = Vec::new();
            let _ = within("a slow client is cut", reader.read_to_end(&mut answer)).await;
            drip.abort();
            String::from_utf8_lossy(&answer).into_owned()
        }));
    }
    assert_eq!(system.ingress().await.get("/").await.status, 200);
    for slow in slow {
        let answer = slow.await.expect("no panic");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_and_harm_nobody() {
    const CONNECTIONS: usize = 10_000;
    /// Generous: two buffers of 8 KiB would be half of it.
    const BYTES_PER_CONNECTION: u64 = 32 * 1024;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        wanted > 10_500,
        "this test needs 10,500 open files; the hard limit is {wanted}"
    );
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the limit can be raised");
    let system = System::start(ONE).await;
    let address = ingress_address(&system).await;
    let client = system.ingress().await;
    assert_eq!(client.get("/").await.status, 200);
    let before = resident_bytes(system.process().pid());
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut stream = connect(address).await;
        // Every tenth has spoken once, so that it has been through the whole server.
        if number % 10 == 0 {
            let request = b"GET /?body=1 HTTP/1.1\r\nhost: x\r\n\r\n";
            stream.write_all(request).await.expect("sent");
            let mut answer = [0; 12];
            within("an answer", stream.read_exact(&mut answer))
                .await
                .expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 200");
        }
        idle.push(stream);
    }
    assert_eq!(client.get("/").await.status, 200, "others are served");
    let after = resident_bytes(system.process().pid());
    let each = after.saturating_sub(before) / CONNECTIONS as u64;
    assert!(each < BYTES_PER_CONNECTION, "{each} bytes per connection");
    drop(idle);
    assert_eq!(client.get("/").await.status, 200);
}
