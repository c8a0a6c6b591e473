//! Which answers are kept, and how they are given out.

use super::*;

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
