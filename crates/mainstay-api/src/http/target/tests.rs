use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

const HEADER: (&str, &str) = ("dapr-app-id", "myapp");
const BASIC: (&str, &str) = ("authorization", "Basic ZGFwci1hcHAtaWQ6YXV0aA==");

#[test]
fn finds_callee_and_method() {
    let name = |name: &str| Target::Name(name.to_owned());
    let url = |url: &str| Target::Url(url.to_owned());
    let invoke = "/v1.0/invoke/myapp/method/foo";
    let http = "/v1.0/invoke/http://example.com/method/foo";
    let escaped = "/v1.0/invoke/http%3A%2F%2Fexample.com/method/foo";
    let partly = "/v1.0/invoke/https%3A/%2Fexample.com/method/foo";
    for (path, pairs, target, method) in [
        // Dapr's own cases: `TestFindTargetIDAndMethod`.
        ("/foo/bar", vec![HEADER], name("myapp"), "/foo/bar"),
        ("/foo/bar", vec![BASIC], name("auth"), "/foo/bar"),
        ("/foo/bar", vec![HEADER, BASIC], name("myapp"), "/foo/bar"),
        (invoke, vec![], name("myapp"), "/foo"),
        (invoke, vec![BASIC], name("auth"), invoke),
        ("/v1.0/invoke/myapp/method/", vec![], name("myapp"), "/"),
        (http, vec![], url("http://example.com"), "/foo"),
        (escaped, vec![], url("http://example.com"), "/foo"),
        (partly, vec![], url("https://example.com"), "/foo"),
        ("///foo//bar", vec![HEADER], name("myapp"), "/foo/bar"),
        // Ours.
        ("//v1.0///invoke//app/method//foo/", vec![], name("app"), "/foo"),
        ("/v1.0/invoke/app.default/method/foo", vec![], name("app"), "/foo"),
        (
            "/v1.0/invoke/app/method/a/method/b",
            vec![],
            name("app"),
            "/a/method/b",
        ),
        ("/v1.0/invoke/app/method/../../x", vec![], name("app"), "/x"),
        ("/v1.0/invoke/app/method/%2e%2e/x", vec![], name("app"), "/x"),
        (
            "/v1.0/invoke/app/method/a%2Fb%20c",
            vec![],
            name("app"),
            "/a/b%20c",
        ),
        ("/v1.0/invoke/app/method/100%25", vec![], name("app"), "/100%25"),
        ("/", vec![HEADER], name("myapp"), "/"),
    ] {
        let invocation = decode(path, None, &headers(&pairs)).unwrap();
        let found = (invocation.target, invocation.path_and_query.as_str());
        assert_eq!(found, (target, method), "{path}");
    }
}

#[test]
fn keeps_the_query() {
    let query = Some("a=1&b=%20");
    let invocation = decode("/v1.0/invoke/myapp/method/x", query, &HeaderMap::new()).unwrap();
    assert_eq!(invocation.path_and_query, "/x?a=1&b=%20");
}

#[test]
fn says_what_is_wrong() {
    let no_app_id = "failed getting app id either from the URL path or the header dapr-app-id";
    let invalid =
        "failed to invoke, id: app, err: rpc error: code = InvalidArgument desc = invalid method: method";
    for (path, message) in [
        ("/", no_app_id.to_owned()),
        ("/foo", no_app_id.to_owned()),
        ("/v1.0/invoke", no_app_id.to_owned()),
        ("/v1.0/invoke/myapp/method", no_app_id.to_owned()),
        ("/v1.0/invoke//method/x", no_app_id.to_owned()),
        ("/v1.0invoke/a/method/x", no_app_id.to_owned()),
        (
            "/v1.0/invoke/app/method/a%23b",
            format!(r#"{invalid} contains forbidden character: "a#b""#),
        ),
        (
            "/v1.0/invoke/app/method/a%00b",
            format!(r#"{invalid} contains forbidden character: "a\x00b""#),
        ),
        (
            "/v1.0/invoke/app/method/a%0Ab",
            format!(r#"{invalid} contains control character at position 1: "a\nb""#),
        ),
        (
            "/v1.0/invoke/a.b.c/method/x",
            "failed to invoke, id: a.b.c, err: invalid app id a.b.c".to_owned(),
        ),
        (
            "/v1.0/invoke/app/method/%zz",
            r#"invalid request: invalid URL escape "%zz""#.to_owned(),
        ),
    ] {
        let error = decode(path, None, &HeaderMap::new()).unwrap_err();
        assert_eq!(error.to_string(), message, "{path}");
    }
}

#[test]
fn credentials_that_are_not_ours_are_left_alone() {
    for value in [
        "Basic !!!",
        "Basic dXNlcjpwYXNz",
        "Bearer ZGFwci1hcHAtaWQ6YXV0aA==",
        "Basic ZGFwci1hcHAtaWQ6",
    ] {
        let headers = headers(&[("authorization", value)]);
        let outcome = decode("/x", None, &headers);
        assert_eq!(outcome, Err(InvalidInvocation::NoAppId), "{value}");
    }
}

proptest! {
    #[test]
    fn no_input_panics_and_no_method_climbs(
        parts in proptest::collection::vec("/|/v1\\.0/invoke/|.{0,8}|%2e%2e|%2f|/method/|http://a", 0..8),
        id in proptest::option::of("[ -~]{0,12}"),
    ) {
        let mut map = HeaderMap::new();
        if let Some(id) = &id {
            map.insert(APP_ID.clone(), HeaderValue::from_str(id).unwrap());
        }
        if let Ok(invocation) = decode(&parts.concat(), Some("q"), &map) {
            let path = invocation.path_and_query.path();
            prop_assert!(path.starts_with('/'));
            prop_assert!(!path.split('/').any(|segment| segment == ".."));
        }
    }
}
