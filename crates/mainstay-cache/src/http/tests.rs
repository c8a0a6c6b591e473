use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Response, header};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use mainstay_base::CacheStatus;
use proptest::prelude::*;

use super::*;
use crate::cache::Cached;
use crate::codec::{Codec, Envelope};
use crate::error::StoreError;
use crate::policy::Lifetime;
use crate::port::Selection;
use crate::settings::{Declaration, Settings};

const TTL: Duration = Duration::from_secs(30);
const STALE: Duration = Duration::from_secs(300);
const NEGATIVE: Duration = Duration::from_secs(5);

fn rules_with(vary: &[&str]) -> Rules {
    let declared = Declaration {
        ttl: TTL,
        stale: Some(STALE),
        negative: Some(NEGATIVE),
        max_bytes: Some(1 << 20),
        vary: vary.iter().map(ToString::to_string).collect(),
        ..Declaration::default()
    };
    Rules::new("catalog", &Settings::new(&declared).unwrap())
}

fn rules() -> Rules {
    rules_with(&[])
}

fn head(method: &Method, path: &str, headers: &[(&str, &str)]) -> ::http::Request<()> {
    let mut request = ::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn get(headers: &[(&str, &str)]) -> ::http::Request<()> {
    head(&Method::GET, "/items?page=1", headers)
}

fn cached(rules: &Rules, request: &::http::Request<()>) -> Request {
    match rules.plan(request) {
        Plan::Cached(request) => request,
        Plan::Pass(reason) => panic!("passed: {reason:?}"),
    }
}

fn bypass(request: &::http::Request<()>) -> Option<Bypass> {
    match rules().plan(request) {
        Plan::Pass(reason) => Some(reason),
        Plan::Cached(_) => None,
    }
}

#[test]
fn only_plain_reads_are_cached() {
    assert_eq!(bypass(&get(&[])), None);
    assert_eq!(bypass(&head(&Method::HEAD, "/", &[])), None);
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        assert_eq!(bypass(&head(&method, "/", &[])), Some(Bypass::Method), "{method}");
    }
    let reasons = [
        ("content-length", "3", Some(Bypass::Body)),
        ("content-length", "0", None),
        ("transfer-encoding", "chunked", Some(Bypass::Body)),
        ("authorization", "Bearer x", Some(Bypass::Credentials)),
        ("cookie", "a=b", Some(Bypass::Credentials)),
        ("range", "bytes=0-1", Some(Bypass::Special)),
        ("if-match", "\"a\"", Some(Bypass::Special)),
        ("upgrade", "websocket", Some(Bypass::Special)),
        ("cache-control", "max-age=5, no-store", Some(Bypass::NoStore)),
        ("if-none-match", "\"a\"", None),
        ("accept", "text/html", None),
    ];
    for (name, value, reason) in reasons {
        assert_eq!(bypass(&get(&[(name, value)])), reason, "{name}: {value}");
    }
}

#[test]
fn a_client_can_ask_for_what_is_new() {
    for (value, reload) in [("no-cache", true), ("max-age=0", true), ("max-age=5", false)] {
        let request = cached(&rules(), &get(&[("cache-control", value)]));
        assert_eq!(request.reload, reload, "{value}");
    }
}

#[test]
fn credentials_are_cached_only_where_declared_and_each_by_itself() {
    let rules = rules_with(&["Authorization"]);
    let key = |token| cached(&rules, &get(&[("authorization", token)])).key;
    assert_ne!(key("Bearer s3cret"), key("Bearer other"));
    assert_ne!(key("Bearer s3cret"), cached(&rules, &get(&[])).key);
    assert_eq!(key("Bearer s3cret"), key("Bearer s3cret"));
    assert!(!key("Bearer s3cret").contains("s3cret"));
    let cookie = get(&[("authorization", "x"), ("cookie", "a=b")]);
    assert_eq!(rules.plan(&cookie), Plan::Pass(Bypass::Credentials));
}

#[test]
fn a_key_holds_all_that_an_answer_depends_on() {
    let rules = rules_with(&["accept-language", "x-tenant"]);
    let different = [
        get(&[]),
        head(&Method::HEAD, "/items?page=1", &[]),
        head(&Method::GET, "/items?page=2", &[]),
        head(&Method::GET, "/items", &[]),
        get(&[("accept-language", "de")]),
        get(&[("accept-language", "en")]),
        get(&[("accept-language", "")]),
        get(&[("x-tenant", "de")]),
        get(&[("accept-encoding", "gzip")]),
        get(&[("accept-language", "de"), ("x-tenant", "en")]),
        get(&[("accept-language", "deen")]),
        get(&[("accept-language", "de"), ("accept-language", "en")]),
    ];
    let keys: std::collections::HashSet<_> = different
        .iter()
        .map(|request| cached(&rules, request).key)
        .collect();
    assert_eq!(keys.len(), different.len());
    let same = [
        get(&[("accept", "text/html")]),
        get(&[("user-agent", "x"), ("if-none-match", "\"a\"")]),
    ];
    for request in same {
        assert_eq!(cached(&rules, &request).key, cached(&rules, &get(&[])).key);
    }
}

#[test]
fn answers_can_be_selected_by_their_path() {
    let rules = rules_with(&["x-tenant"]);
    let key = |path, headers: &[_]| cached(&rules, &head(&Method::GET, path, headers)).key;
    let keys = [
        key("/items", &[]),
        key("/items", &[("x-tenant", "a")]),
        key("/items?page=1", &[]),
        key("/items/1", &[]),
        key("/itemstore", &[]),
    ];
    let selected = |selections: Vec<Selection>| -> Vec<bool> {
        keys.iter()
            .map(|key| selections.iter().any(|selection| selection.contains(key)))
            .collect()
    };
    assert_eq!(
        selected(rules.selections("/items", false)),
        [true, true, true, false, false]
    );
    assert_eq!(
        selected(rules.selections("/items/", true)),
        [false, false, false, true, false]
    );
    assert_eq!(selected(vec![rules.everything()]), [true; 5]);
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from("body")).unwrap()
}

/// What becomes of an answer: how long it is kept, or why not.
async fn taken(rules: &Rules, response: Response<Full<Bytes>>) -> Result<Lifetime, &'static str> {
    match rules.take(response).await.unwrap() {
        (Loaded::Value(_, lifetime), None) => Ok(lifetime),
        (Loaded::Failure(_), None) => Err("failure"),
        (Loaded::Private(response), Some(reason)) => {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "body");
            Err(reason.as_str())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_status_decides() {
    for status in 200..600 {
        let expected = match status {
            200 | 203 | 204 | 300 | 301 => Ok((TTL, STALE)),
            404 | 410 => Ok((NEGATIVE, Duration::ZERO)),
            500 | 502 | 503 | 504 => Err("failure"),
            _ => Err("status"),
        };
        let lifetime = taken(&rules(), answer(status, &[])).await;
        assert_eq!(lifetime.map(|of| (of.ttl, of.stale)), expected, "{status}");
    }
}

/// The headers of an answer, and for how many seconds it is fresh and stale, or why it is not kept.
type Case<'a> = (&'a [(&'a str, &'a str)], Result<(u64, u64), &'a str>);

#[tokio::test]
async fn headers_decide() {
    let full = Ok((TTL.as_secs(), STALE.as_secs()));
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let cases: &[Case<'_>] = &[
        (&[("cache-control", "public")], full),
        (&[("cache-control", "no-store")], Err("cache_control")),
        (&[("cache-control", "Private")], Err("cache_control")),
        (&[("cache-control", "no-cache=\"x\"")], Err("cache_control")),
        (&[("cache-control", "max-age=10")], Ok((10, 300))),
        (&[("cache-control", "max-age=100")], full),
        (&[("cache-control", "max-age=0")], Err("expired")),
        (&[("cache-control", "max-age=nonsense")], Err("expired")),
        (&[("cache-control", "max-age=0, s-maxage=10")], Ok((10, 0))),
        (&[("cache-control", "max-age=20"), ("age", "15")], Ok((5, 300))),
        (&[("cache-control", "max-age=20"), ("age", "20")], Err("expired")),
        (&[("cache-control", "must-revalidate")], Ok((30, 0))),
        (&[("cache-control", "stale-if-error=10")], Ok((30, 10))),
        (&[("cache-control", "stale-if-error=1000")], full),
        (&[("expires", "0")], Err("expired")),
        (
            &[date, ("expires", "Sun, 06 Nov 1994 08:49:47 GMT")],
            Ok((10, 300)),
        ),
        (
            &[date, ("expires", "Sun, 06 Nov 1994 08:49:27 GMT")],
            Err("expired"),
        ),
        (
            &[date, ("expires", "0"), ("cache-control", "max-age=10")],
            Ok((10, 300)),
        ),
        (&[("set-cookie", "a=b")], Err("set_cookie")),
        (&[("vary", "Accept-Encoding")], full),
        (&[("vary", "accept-encoding, X-Tenant")], full),
        (&[("vary", "accept-encoding"), ("vary", "origin")], Err("vary")),
        (&[("vary", "*")], Err("vary")),
        (
            &[("content-type", "text/event-stream; charset=utf-8")],
            Err("event_stream"),
        ),
        (&[("mainstay-fallback", "static")], Err("failure")),
    ];
    for (headers, expected) in cases {
        let lifetime = taken(&rules_with(&["x-tenant"]), answer(200, headers)).await;
        let seconds = lifetime.map(|of| (of.ttl.as_secs(), of.stale.as_secs()));
        assert_eq!(seconds, *expected, "{headers:?}");
    }
}

async fn stored(response: Response<Full<Bytes>>) -> Stored {
    match rules().take(response).await.unwrap() {
        (Loaded::Value(stored, _), _) => stored,
        other => panic!("{other:?}"),
    }
}

fn served(request: &Request, value: &Stored, status: CacheStatus, age: Duration) -> Response<Bytes> {
    let value = value.clone();
    request.answer(Cached { value, status, age })
}

#[tokio::test]
async fn an_answer_says_where_it_came_from() {
    let request = cached(&rules(), &get(&[]));
    let headers = [
        ("x-own", "1"),
        ("connection", "close"),
        ("age", "4"),
        ("mainstay-cache", "hit"),
        ("content-length", "4"),
    ];
    let stored = stored(answer(203, &headers)).await;
    let header = |response: &Response<Bytes>, name| {
        let values: Vec<_> = response.headers().get_all(name).iter().collect();
        assert!(values.len() <= 1, "{values:?}");
        values.first().map(|value| value.to_str().unwrap().to_owned())
    };
    for status in CacheStatus::ALL {
        let response = served(&request, &stored, status, Duration::from_millis(6_900));
        assert_eq!(response.status(), 203);
        assert_eq!(response.body(), "body");
        assert_eq!(
            header(&response, "mainstay-cache").as_deref(),
            Some(status.as_str())
        );
        assert_eq!(header(&response, "age").as_deref(), Some("10"));
        assert_eq!(header(&response, "x-own").as_deref(), Some("1"));
        assert_eq!(header(&response, "content-length").as_deref(), Some("4"));
        assert_eq!(header(&response, "connection"), None);
    }
}

#[tokio::test]
async fn just_loaded_it_has_no_age() {
    let request = cached(&rules(), &get(&[]));
    let response = served(
        &request,
        &stored(answer(200, &[])).await,
        CacheStatus::Miss,
        Duration::ZERO,
    );
    assert!(!response.headers().contains_key(header::AGE));
}

#[tokio::test]
async fn a_client_that_has_it_already_is_told_so() {
    let cases = [
        (Some("\"a\""), "\"a\"", true),
        (Some("W/\"a\""), "\"b\", \"a\"", true),
        (Some("\"a\""), "W/\"a\"", true),
        (Some("\"a\""), "*", true),
        (Some("\"a\""), "\"b\"", false),
        (Some("\"a\""), "a", false),
        (None, "\"a\"", false),
    ];
    for (etag, known, is_known) in cases {
        let request = cached(&rules(), &get(&[("if-none-match", known)]));
        let headers: Vec<_> = etag.map(|etag| ("etag", etag)).into_iter().collect();
        let stored = stored(answer(200, &headers)).await;
        let response = served(&request, &stored, CacheStatus::Hit, Duration::ZERO);
        let expected = if is_known { (304, "") } else { (200, "body") };
        let got = (
            response.status().as_u16(),
            std::str::from_utf8(response.body()).unwrap(),
        );
        assert_eq!(got, expected, "{etag:?} {known}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
    headers.insert(header::IF_MODIFIED_SINCE, HeaderValue::from_static("x"));
    Request::prepare(&mut headers);
    assert!(headers.is_empty());
}

/// A body that gives its pieces and then ends, breaks or pauses.
#[derive(Debug)]
struct Pieces(Vec<Result<Frame<Bytes>, &'static str>>, bool);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if self.0.is_empty() {
            return if self.1 { Poll::Pending } else { Poll::Ready(None) };
        }
        Poll::Ready(Some(self.0.remove(0)))
    }
}

fn pieces(pieces: &[&'static str]) -> Pieces {
    let frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(*piece))));
    Pieces(frames.collect(), false)
}

type TakenPieces = Result<Taken<Pieces>, &'static str>;

async fn take(body: Pieces) -> TakenPieces {
    rules().take(Response::new(body)).await
}

/// What is passed on: why, and all that comes.
async fn passed(taken: TakenPieces) -> (Unstorable, String, Option<HeaderMap>) {
    match taken.unwrap() {
        (Loaded::Private(response), Some(reason)) => {
            let whole = response.into_body().collect().await.unwrap();
            let trailers = whole.trailers().cloned();
            (
                reason,
                String::from_utf8(whole.to_bytes().to_vec()).unwrap(),
                trailers,
            )
        }
        _ => panic!("it was kept"),
    }
}

#[tokio::test]
async fn pieces_are_joined() {
    for (parts, whole) in [(&[][..], ""), (&["a"], "a"), (&["", "a", "", "bc"], "abc")] {
        match take(pieces(parts)).await.unwrap() {
            (Loaded::Value(stored, _), None) => assert_eq!(stored.body(), whole),
            _ => panic!("{parts:?} was not kept"),
        }
    }
}

#[tokio::test]
async fn a_large_body_is_passed_on_whole() {
    let large: &'static str = Box::leak("x".repeat(200_000).into_boxed_str());
    let (reason, text, _) = passed(take(pieces(&[large, large, "end"])).await).await;
    assert_eq!(reason, Unstorable::TooLarge);
    assert_eq!(text, format!("{large}{large}end"));
    // Known to be too large, it is not even begun.
    let known = Response::new(Full::from(large.repeat(2)));
    let taken = rules().take(known).await.unwrap();
    assert!(matches!(taken, (Loaded::Private(_), Some(Unstorable::TooLarge))));
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_passed_on_as_it_comes() {
    let mut slow = pieces(&["first"]);
    slow.1 = true;
    let (taken, reason) = take(slow).await.unwrap();
    assert_eq!(reason, Some(Unstorable::TooSlow));
    let Loaded::Private(response) = taken else {
        panic!("it was kept");
    };
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first");
}

#[tokio::test]
async fn trailers_are_passed_on() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let mut body = pieces(&["a"]);
    body.0.push(Ok(Frame::trailers(trailers.clone())));
    let expected = (Unstorable::Trailers, "a".to_owned(), Some(trailers));
    assert_eq!(passed(take(body).await).await, expected);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let mut body = pieces(&["a"]);
    body.0.push(Err("broke off"));
    assert_eq!(take(body).await.unwrap_err(), "broke off");
}

fn envelope(value: Stored) -> Envelope<Stored> {
    Envelope {
        value,
        lifetime: Lifetime {
            ttl: TTL,
            stale: STALE,
        },
        salt: 1,
        epoch: 2,
    }
}

#[tokio::test]
async fn an_answer_can_be_written_and_read() {
    let headers = [("x-a", "1"), ("x-a", "2"), ("etag", "\"e\""), ("age", "7")];
    let stored = stored(answer(404, &headers)).await;
    let envelope = envelope(stored.clone());
    let written = envelope.encode("k", &StoredCodec);
    let read = Envelope::decode("k", written.into(), &StoredCodec)
        .unwrap()
        .unwrap();
    assert_eq!(read.value, stored);
    assert_eq!(read.value.weigh(), stored.weigh());
}

/// Writes bytes as they are, so that what is read is not what was meant.
struct Garbage;

impl Codec<Vec<u8>> for Garbage {
    fn encode(&self, value: &Vec<u8>, writer: &mut crate::codec::Writer) {
        for byte in value {
            writer.u8(*byte);
        }
    }

    fn decode(&self, _: &mut crate::codec::Reader) -> Option<Vec<u8>> {
        None
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_for_an_answer(status in 0_u64..1_000, headers in 0_u64..4, bytes: Vec<u8>) {
        let mut written: Vec<u8> = [status, 0, headers].iter().flat_map(|number| number.to_le_bytes()).collect();
        written.extend(bytes);
        let envelope = Envelope { value: written, lifetime: Lifetime { ttl: TTL, stale: STALE }, salt: 0, epoch: 0 };
        let read = Envelope::decode("k", envelope.encode("k", &Garbage).into(), &StoredCodec);
        let is_answer = matches!(&read, Ok(Some(read)) if u64::from(read.value.status().as_u16()) == status);
        prop_assert!(is_answer || matches!(read, Err(StoreError::Damaged)));
    }

    #[test]
    fn any_request_and_any_answer_are_judged(name in "[a-z-]{1,20}", value: Vec<u8>, known in "[\"W/*, a]{0,12}") {
        let names = ["cache-control", "vary", "expires", "age", "etag", "content-type", name.as_str()];
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut request = get(&[("if-none-match", &known)]);
        let mut response = answer(200, &[("etag", "\"a\"")]);
        for name in names {
            request.headers_mut().insert(::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.clone());
            response.headers_mut().insert(::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.clone());
        }
        let _ = rules().plan(&request);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (loaded, _) = runtime.block_on(rules().take(response)).unwrap();
        if let (Loaded::Value(stored, _), Plan::Cached(request)) = (loaded, rules().plan(&request)) {
            let _ = served(&request, &stored, CacheStatus::Hit, Duration::MAX);
        }
    }
}

#[tokio::test]
async fn a_failure_that_others_get_too_sets_no_cookie() {
    let failure = answer(503, &[("set-cookie", "a=b"), ("retry-after", "5")]);
    let Ok((Loaded::Failure(stored), None)) = rules().take(failure).await else {
        panic!("it was kept");
    };
    assert!(!stored.headers().contains_key(header::SET_COOKIE));
    assert_eq!(stored.headers()[header::RETRY_AFTER], "5");
}

/// The mesh's bodies can be sent to another thread, but not shared.
#[tokio::test]
async fn a_body_need_not_be_shareable() {
    const fn sendable<F: Future + Send>(future: F) -> F {
        future
    }
    let rules = rules();
    let body = Full::new(Bytes::from("a")).boxed_unsync();
    let (loaded, _) = sendable(rules.take(Response::new(body))).await.unwrap();
    assert!(matches!(loaded, Loaded::Value(_, _)));
}
