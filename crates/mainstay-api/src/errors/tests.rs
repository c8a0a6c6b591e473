use expect_test::expect;
use mainstay_state::StateError;

use super::state::Failed;
use super::*;

fn error(reason: Reason) -> CallError {
    CallError {
        reason,
        message: "as it happened".to_owned(),
        retry_after: None,
    }
}

#[test]
fn every_reason_is_told_in_every_way() {
    let lines = Reason::ALL.map(|reason| {
        let error = error(reason);
        let dapr = invocation_failed("back", &error).status().as_u16();
        let door = request_failed(&error).status().as_u16();
        let passed = call_status(&error).code();
        let message = invocation_status("back", &error).code();
        format!("{:17} {dapr} {door} {passed:?} {message:?}", reason.as_str())
    });
    expect![[r#"
        unknown_target    500 502 NotFound Internal
        not_allowed       403 403 PermissionDenied PermissionDenied
        invalid_request   500 400 InvalidArgument Internal
        expired           504 504 DeadlineExceeded DeadlineExceeded
        deadline_exceeded 504 504 DeadlineExceeded DeadlineExceeded
        breaker_open      503 503 Unavailable Unavailable
        shed              503 503 ResourceExhausted ResourceExhausted
        no_replica        500 503 Unavailable Internal
        connect_failed    500 502 Unavailable Internal
        attempt_timeout   504 504 DeadlineExceeded DeadlineExceeded
        broken            500 502 Unavailable Internal
        garbage           500 502 Unavailable Internal
        request_body      400 400 InvalidArgument InvalidArgument
        internal          500 500 Internal Internal"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_caller_is_told_when_to_come_back() {
    let shed = CallError {
        retry_after: Some(Duration::from_millis(1_200)),
        ..error(Reason::Shed)
    };
    let response = invocation_failed("back", &shed);
    assert_eq!(response.headers()[RETRY_AFTER], "2");
    assert_eq!(response.headers()["mainstay-reason"], "shed");
    let status = call_status(&shed);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1200");
    assert!(status.details().windows(9).any(|part| part == b"RetryInfo"));

    let never = invocation_failed("back", &error(Reason::Broken));
    assert!(!never.headers().contains_key(RETRY_AFTER));
    assert_eq!(
        call_status(&error(Reason::Broken))
            .metadata()
            .get("grpc-retry-pushback-ms"),
        None
    );
}

#[test]
fn strangers_are_told_nothing_of_the_inside() {
    for reason in Reason::ALL {
        let status = request_status(&error(reason));
        assert!(!status.message().contains("as it happened"), "{reason:?}");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let status = app_status(StatusCode::BAD_GATEWAY, "ä".repeat(40).as_bytes());
    let text = "ä".repeat(31);
    let end = text.as_bytes();
    let details = status.details();
    assert!(details.windows(end.len()).any(|part| part == end));
    assert!(
        !details
            .windows(end.len() + 2)
            .any(|part| part == "ä".repeat(32).as_bytes())
    );
}

#[test]
fn an_etag_that_no_component_gives_is_the_caller_s_mistake() {
    let error = StateError::InvalidEtag("x".to_owned());
    let told = state::failed(Failed::Save, "store", &error);
    assert_eq!(told.response().status(), StatusCode::BAD_REQUEST);
    assert_eq!(told.status().code(), Code::InvalidArgument);
}
