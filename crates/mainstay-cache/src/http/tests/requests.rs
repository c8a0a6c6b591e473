//! Which requests are answered from a cache, and under which key.

use super::*;

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
