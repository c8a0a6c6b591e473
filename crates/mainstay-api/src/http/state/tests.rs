use mainstay_state::Etag;

use super::*;

fn change(body: &str, query: &str) -> Result<Vec<Change>, ApiError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    decode_changes(&body, &Parameters::of(Some(query)))
}

#[test]
fn a_value_stays_the_bytes_that_were_sent() {
    let body = r#"[{"key":"a","value": {"x" : 1.10 , "é":"\u00e9"} , "etag":"7",
        "metadata":{"ttlInSeconds":"9","own":"1"}, "unknown": [],
        "options":{"concurrency":"first-write","consistency":"eventual"}},{"key":"b"},{"key":"c","value":null}]"#;
    let changes = change(body, "metadata.ttlInSeconds=5&other=1").unwrap();
    let [first, second, third] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert_eq!(first.key, "a");
    assert_eq!(first.value, r#"{"x" : 1.10 , "é":"\u00e9"}"#);
    assert_eq!(first.etag, Etag::new("7"));
    assert_eq!(
        first.metadata.get("ttlInSeconds").map(String::as_str),
        Some("5"),
        "the URL wins"
    );
    assert_eq!(first.metadata.get("own").map(String::as_str), Some("1"));
    assert_eq!(first.concurrency, Concurrency::FirstWrite);
    assert_eq!(first.consistency, Consistency::Eventual);
    assert_eq!(second.value, "null");
    assert_eq!(third.value, "null");
}

#[test]
fn no_changes_are_no_mistake() {
    assert!(change("[]", "").unwrap().is_empty());
    assert!(change("null", "").unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for body in [
        "",
        "{}",
        "[1]",
        r#"[{"key":1}]"#,
        r#"[{"value":1}]"#,
        r#"[{"key":""}]"#,
        r#"[{"key":"a","metadata":{"x":1}}]"#,
        r#"[{"key":"a","options":{"concurrency":"first"}}]"#,
        r#"[{"key":"a","options":{"consistency":"weak"}}]"#,
        r#"[{"key":"a"}"#,
    ] {
        assert!(change(body, "").is_err(), "{body}");
    }
}

#[test]
fn a_value_that_is_no_json_is_told_so() {
    assert!(raw(b"{\"a\":1}").is_some());
    assert!(raw(b"\xff").is_none());
    assert!(raw(b"hello").is_none());
}
