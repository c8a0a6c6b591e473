//! An app for tests: an echo server whose failures are asked for in the query string.
//!
//! Listens on `$PORT` (HTTP/1.1, h2c, gRPC, WebSocket). Flags say how it behaves as a process, the query string how it
//! answers one request (see `answer`).

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it, and a defect shall be seen at once"
)]

mod answer;
mod faulty;
mod grpc;
mod websocket;

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::answer::App;
use crate::faulty::{Fault, FaultyStream};

/// How the process behaves.
#[derive(Debug, Default)]
struct Flags {
    /// Lines to print at the start.
    say: Vec<String>,
    /// Listen only after this time.
    bind_after: Duration,
    /// Never listen.
    never_bind: bool,
    /// End after this time.
    exit_after: Option<Duration>,
    /// With this code.
    exit_code: i32,
    /// Do not end on SIGTERM.
    ignore_term: bool,
    /// Take this long to end on SIGTERM.
    stop_after: Duration,
    /// Start a child that outlives this process unless its group is killed; its pid is printed.
    child: bool,
}

fn flags() -> Flags {
    let mut flags = Flags::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        let duration = |text: String| mainstay_base::parse_duration(&text).expect("a duration");
        match flag.as_str() {
            "--say" => flags.say.push(value()),
            "--bind-after" => flags.bind_after = duration(value()),
            "--never-bind" => flags.never_bind = true,
            "--exit-after" => flags.exit_after = Some(duration(value())),
            "--exit-code" => flags.exit_code = value().parse().expect("an exit code"),
            "--ignore-term" => flags.ignore_term = true,
            "--stop-after" => flags.stop_after = duration(value()),
            "--child" => flags.child = true,
            other => panic!("unknown flag {other}"),
        }
    }
    flags
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let flags = flags();
    for line in &flags.say {
        print_line(line);
    }
    if flags.child {
        print_line(&format!("child {}", spawn_child()));
    }
    tokio::spawn(end_on_term(flags.ignore_term, flags.stop_after));
    if let Some(after) = flags.exit_after {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            std::process::exit(flags.exit_code);
        });
    }
    if flags.never_bind {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(flags.bind_after).await;
    serve().await;
}

async fn serve() {
    let port: u16 = std::env::var("PORT").expect("PORT").parse().expect("a port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .expect("the port is free");
    print_line(&format!("listening on {port}"));
    let app = Arc::new(App::default());
    loop {
        let (stream, peer) = listener.accept().await.expect("a connection");
        tokio::spawn(connection(stream, peer, Arc::clone(&app)));
    }
}

/// Serves one connection; the client says by its first bytes whether it is HTTP/2.
async fn connection(stream: TcpStream, _peer: SocketAddr, app: Arc<App>) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0";
    let _ = stream.set_nodelay(true);
    let mut start = [0; PREFACE.len()];
    // A probe that only connects sends nothing.
    let Ok(count @ 1..) = stream.peek(&mut start).await else {
        return;
    };
    let is_http2 = start[..count] == PREFACE[..count];
    let fault = Arc::new(Fault::default());
    let io = TokioIo::new(FaultyStream::new(stream, Arc::clone(&fault)));
    let service = service_fn(move |request| {
        let (app, fault) = (Arc::clone(&app), Arc::clone(&fault));
        async move { Ok::<_, Infallible>(app.answer(request, &fault).await) }
    });
    // How a connection ends is the test's business, not ours.
    if is_http2 {
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let connection = http1::Builder::new().serve_connection(io, service);
        let _ = connection.with_upgrades().await;
    }
}

async fn end_on_term(ignore: bool, after: Duration) {
    let mut term = signal(SignalKind::terminate()).expect("signals");
    loop {
        term.recv().await;
        print_line("got SIGTERM");
        if !ignore {
            tokio::time::sleep(after).await;
            std::process::exit(0);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the app under supervision is what starts a process here"
)]
fn spawn_child() -> u32 {
    std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("sleep")
        .id()
}

/// Prints a line at once, also into a pipe.
fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
