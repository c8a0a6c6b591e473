//! Calls through the cache of an edge, to a callee that answers as it is told.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mainstay_base::ManualClock;
use mainstay_cache::http::{CACHE_HEADER, CallCache, Rules, Served, Stored};
use mainstay_cache::{Cache, CacheError, Local, LocalOptions, Metrics, Options};
use tokio::runtime::Handle;

use crate::support::{PATIENCE, STALE, TTL, metric, settings};

/// What the mesh's bodies are: they can be sent, but not shared.
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

#[derive(Clone)]
struct Edge {
    cache: CallCache<String>,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    callee: Arc<Callee>,
}

#[derive(Default)]
struct Callee {
    calls: AtomicUsize,
    answer: Mutex<Option<Response<&'static str>>>,
}

impl Callee {
    fn call(&self, request: &Request<Body>) -> Result<Response<Body>, String> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let condition = request.headers().contains_key("if-none-match");
        let answer = self.answer.lock().unwrap().clone().ok_or("down")?;
        if condition {
            let mut known = answer.map(body);
            *known.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(known);
        }
        let mut answer = answer.map(body);
        answer.headers_mut().insert("x-call", number.into());
        Ok(answer)
    }
}

fn body(text: &'static str) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

impl Edge {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        let metrics = Metrics::default();
        let answers = Cache::new(Options {
            name: "shop->catalog".to_owned(),
            settings: settings(),
            store: Arc::new(Local::new(LocalOptions {
                max_bytes: settings().max_bytes(),
                weigh: Stored::weigh,
                clock: clock.clone(),
            })),
            clock: clock.clone(),
            runtime: Handle::current(),
            load_timeout: PATIENCE,
            max_loads: 4,
            max_refreshes: 4,
            metrics: metrics.clone(),
        });
        Self {
            cache: CallCache::new(Rules::new("catalog", &settings()), answers),
            clock,
            metrics,
            callee: Arc::default(),
        }
    }

    fn answers(&self, answer: http::response::Builder, text: &'static str) {
        *self.callee.answer.lock().unwrap() = Some(answer.body(text).unwrap());
    }

    fn is_down(&self) {
        *self.callee.answer.lock().unwrap() = None;
    }

    async fn call(
        &self,
        request: http::request::Builder,
    ) -> Result<Response<Served<Body>>, CacheError<String>> {
        let callee = self.callee.clone();
        let call = move |request: Request<Body>| async move { callee.call(&request) };
        let broken = |error: io::Error| error.to_string();
        let request = request.uri("/items?page=1").body(body("")).unwrap();
        self.cache.call(request, broken, call).await
    }

    /// How an answer is marked, its text, and the call that it came from.
    async fn get(&self) -> (String, String, String) {
        let answer = self.call(Request::get("/")).await.unwrap();
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
        };
        let (mark, call) = (header(CACHE_HEADER.as_str()), header("x-call"));
        (mark, text(answer).await, call)
    }

    fn calls(&self) -> usize {
        self.callee.calls.load(Ordering::SeqCst)
    }
}

async fn text(answer: Response<Served<Body>>) -> String {
    let bytes = match answer.into_body() {
        Served::Whole(bytes) => bytes,
        Served::Untouched(body) => body.collect().await.unwrap().to_bytes(),
        Served::Resumed(body) => body.collect().await.unwrap().to_bytes(),
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn marked(mark: &str, text: &str, call: &str) -> (String, String, String) {
    (mark.to_owned(), text.to_owned(), call.to_owned())
}

#[tokio::test]
async fn an_answer_goes_through_its_ages() {
    let edge = Edge::new();
    edge.answers(Response::builder(), "items");
    assert_eq!(edge.get().await, marked("miss", "items", "1"));
    assert_eq!(edge.get().await, marked("hit", "items", "1"));
    edge.clock.advance(TTL);
    edge.is_down();
    assert_eq!(edge.get().await, marked("stale", "items", "1"));
    edge.clock.advance(STALE);
    let failed = edge.call(Request::get("/")).await;
    assert_eq!(failed.unwrap_err(), CacheError::Load("down".to_owned()));
    edge.answers(Response::builder(), "new items");
    assert_eq!(edge.get().await, marked("miss", "new items", "4"));
}

#[tokio::test]
async fn what_is_stale_stands_in_for_a_503() {
    let edge = Edge::new();
    edge.answers(Response::builder().status(503), "sorry");
    assert_eq!(edge.get().await, marked("miss", "sorry", "1"));
    edge.answers(Response::builder(), "items");
    assert_eq!(edge.get().await, marked("miss", "items", "2"));
    edge.clock.advance(TTL);
    edge.answers(Response::builder().status(503), "sorry");
    assert_eq!(edge.get().await, marked("stale", "items", "2"));
}

#[tokio::test]
async fn what_may_not_be_kept_is_passed_on() {
    let edge = Edge::new();
    edge.answers(Response::builder().header("set-cookie", "a=b"), "yours");
    for call in ["1", "2"] {
        assert_eq!(edge.get().await, marked("", "yours", call));
    }
    assert_eq!(
        metric(
            &edge.metrics,
            "mainstay_cache_unstorable_total",
            Some("set_cookie")
        ),
        2
    );
    // As soon as it may, it is.
    edge.answers(Response::builder(), "everybody's");
    assert_eq!(edge.get().await, marked("miss", "everybody's", "3"));
    assert_eq!(edge.get().await, marked("hit", "everybody's", "3"));
}

#[tokio::test]
async fn what_is_no_plain_read_is_passed_on() {
    let edge = Edge::new();
    edge.answers(Response::builder(), "done");
    for (index, request) in [
        Request::builder().method(Method::POST),
        Request::get("/").header("authorization", "Bearer x"),
        Request::get("/").header("cookie", "a=b"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = edge.call(request).await.unwrap();
        assert!(!answer.headers().contains_key(CACHE_HEADER));
        assert!(matches!(answer.body(), Served::Untouched(_)));
        assert_eq!(edge.calls(), index + 1);
    }
    assert_eq!(
        metric(&edge.metrics, "mainstay_cache_answers_total", Some("bypass")),
        3
    );
}

#[tokio::test]
async fn a_client_gets_what_it_asks_for() {
    let edge = Edge::new();
    edge.answers(Response::builder().header("etag", "\"1\""), "items");
    // The first one has it already, and the callee is asked for all of it nevertheless.
    for _ in 0..2 {
        let request = Request::get("/").header("if-none-match", "\"1\"");
        let answer = edge.call(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(text(answer).await, "");
    }
    assert_eq!(edge.get().await, marked("hit", "items", "1"));
    let request = Request::get("/").header("cache-control", "no-cache");
    let answer = edge.call(request).await.unwrap();
    assert_eq!(answer.headers()["x-call"], "2");
    assert_eq!(edge.get().await, marked("hit", "items", "2"));
}

#[tokio::test]
async fn answers_are_forgotten_by_their_path() {
    let edge = Edge::new();
    edge.answers(Response::builder(), "items");
    edge.get().await;
    for selection in edge.cache.rules().selections("/other", false) {
        edge.cache.answers().invalidate(selection).await.unwrap();
    }
    assert_eq!(edge.get().await.0, "hit");
    for selection in edge.cache.rules().selections("/items", false) {
        edge.cache.answers().invalidate(selection).await.unwrap();
    }
    assert_eq!(edge.get().await, marked("miss", "items", "2"));
}
