//! How a request is answered: an echo as JSON, unless the query string asks for something else.
//!
//! | query | effect |
//! |---|---|
//! | `status=503` | this status |
//! | `header=name:value` | this header (may repeat) |
//! | `delay=200ms` | waits before it answers |
//! | `body=1000` | a body of this many bytes instead of the echo |
//! | `fault=hang` `close` `garbage` `half_head` `cut` `crash` | never answers, closes, answers no HTTP, half a head, half a body, dies |
//! | `only=orders-1` | all of the above only in this replica |
//! | `times=2&key=x` | all of the above only for the first requests with this key in this process |
//! | `events=3&every=10ms` | server-sent events |
//!
//! Paths with a meaning: `/env` answers with the environment, `/healthz` with the status last set by
//! `/set-health?status=`, `/call?to=orders&path=/x?status=503` calls through the Dapr API and passes the answer on,
//! `/configuration/…` prints what the app is told of its settings.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Channel, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::faulty::Fault;
use crate::{grpc, print_line, websocket};

/// A body that may break off.
pub(crate) type AnswerBody = BoxBody<Bytes, io::Error>;

/// What the app remembers between requests.
#[derive(Debug, Default)]
pub(crate) struct App {
    requests: AtomicU64,
    health: AtomicU16,
    seen: Mutex<HashMap<String, u64>>,
}

/// A body in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl App {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, fault: &Fault) -> Response<AnswerBody> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let query = Query::of(&request);
        match request.uri().path() {
            "/env" => return reply(&json!(std::env::vars().collect::<HashMap<_, _>>())),
            "/healthz" => return empty(self.health.load(Ordering::Relaxed).max(200)),
            "/set-health" => {
                let status = query.number("status").unwrap_or(200);
                self.health.store(status, Ordering::Relaxed);
                return empty(200);
            }
            "/call" => return call(&query, &request).await,
            path if path.starts_with("/configuration/") => return told(request).await,
            _ => {}
        }
        if websocket::is_upgrade(&request) {
            return websocket::echo(request);
        }
        if grpc::is_grpc(&request) {
            return grpc::echo(request).await;
        }
        if !self.applies(&query) {
            return echo(request, number).await;
        }
        if let Some(delay) = query.duration("delay") {
            tokio::time::sleep(delay).await;
        }
        match query.text("fault").as_deref() {
            Some("hang") => pending::<()>().await,
            Some("close") => fault.close(),
            Some("garbage") => fault.garbage(),
            Some("half_head") => fault.half_head(),
            Some("cut") => return cut(),
            Some("crash") => std::process::exit(3),
            Some(other) => panic!("unknown fault {other}"),
            None => {}
        }
        let mut response = if let Some(count) = query.number::<u32>("events") {
            events(count, query.duration("every").unwrap_or_default())
        } else if let Some(size) = query.number::<usize>("body") {
            Response::new(full(vec![b'x'; size]))
        } else {
            echo(request, number).await
        };
        query.decorate(&mut response);
        response
    }

    /// Whether the query's wishes concern this process and this request.
    fn applies(&self, query: &Query) -> bool {
        if query.text("only").is_some_and(|only| only != instance()) {
            return false;
        }
        let Some(times) = query.number::<u64>("times") else {
            return true;
        };
        let mut seen = self.seen.lock().expect("no panic");
        let count = seen.entry(query.text("key").unwrap_or_default()).or_default();
        *count += 1;
        *count <= times
    }
}

/// The name of this replica, as its resource attributes tell.
pub(crate) fn instance() -> String {
    let attributes = std::env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    attributes
        .split(',')
        .find_map(|pair| pair.strip_prefix("service.instance.id="))
        .unwrap_or_default()
        .to_owned()
}

/// Prints what Mainstay tells the app by itself.
async fn told(request: Request<Incoming>) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return empty(400);
    };
    let body = body.to_bytes();
    print_line(&format!(
        "told {}: {}",
        head.uri.path(),
        String::from_utf8_lossy(&body)
    ));
    empty(200)
}

/// Tells what arrived.
async fn echo(request: Request<Incoming>, number: u64) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return empty(400);
    };
    let body = body.to_bytes();
    let headers: Vec<(&str, String)> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    reply(&json!({
        "app": std::env::var("APP_ID").unwrap_or_default(),
        "instance": instance(),
        "pid": std::process::id(),
        "request": number,
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query().unwrap_or_default(),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_bytes": body.len(),
        "body": String::from_utf8_lossy(body.get(..4096).unwrap_or(&body)),
    }))
}

/// Calls another app through the Dapr API, as an app of a user would.
async fn call(query: &Query, request: &Request<Incoming>) -> Response<AnswerBody> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (to, path) = (
        query.text("to").unwrap_or_default(),
        query.text("path").unwrap_or_default(),
    );
    let uri = format!("{}/v1.0/invoke/{to}/method{path}", variable("DAPR_HTTP_ENDPOINT"));
    let mut outgoing = Request::builder()
        .method(request.method())
        .uri(uri)
        .header("dapr-api-token", variable("DAPR_API_TOKEN"));
    // What a caller's tracing would pass on.
    for name in ["traceparent", "tracestate", "grpc-timeout"] {
        if let Some(value) = request.headers().get(name) {
            outgoing = outgoing.header(name, value);
        }
    }
    let outgoing = outgoing.body(Full::<Bytes>::default()).expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    match client.request(outgoing).await {
        Ok(response) => response.map(|body| body.map_err(io::Error::other).boxed()),
        Err(error) => {
            let mut response = Response::new(full(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// Half of a body that was promised whole.
fn cut() -> Response<AnswerBody> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(Bytes::from_static(&[b'x'; 500])).await;
        sender.abort(io::ErrorKind::ConnectionAborted.into());
    });
    let mut response = Response::new(body.boxed());
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
    response
}

/// `count` server-sent events.
fn events(count: u32, every: Duration) -> Response<AnswerBody> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for number in 1..=count {
            let event = format!("id: {number}\ndata: event {number}\n\n");
            if sender.send_data(Bytes::from(event)).await.is_err() {
                return;
            }
            tokio::time::sleep(every).await;
        }
    });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    response
}

fn reply(value: &serde_json::Value) -> Response<AnswerBody> {
    let mut response = Response::new(full(value.to_string()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: u16) -> Response<AnswerBody> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// The wishes in a query string.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request<Incoming>) -> Self {
        let pairs = request.uri().query().unwrap_or_default().split('&');
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), unescape(value))
        };
        Self(pairs.map(pair).collect())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        mainstay_base::parse_duration(&self.text(name)?).ok()
    }

    /// Sets status and headers.
    fn decorate(&self, response: &mut Response<AnswerBody>) {
        if let Some(status) = self.number("status") {
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        }
        for (_, value) in self.0.iter().filter(|(name, _)| name == "header") {
            let (name, value) = value.split_once(':').expect("name:value");
            response.headers_mut().insert(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
    }
}

/// Undoes percent encoding.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
