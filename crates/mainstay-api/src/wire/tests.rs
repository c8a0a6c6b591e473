//! Goldens: a change here breaks those who read the control API.

use expect_test::{Expect, expect};
use serde::de::DeserializeOwned;

use super::*;

/// Writes `value`, compares it with the golden, and reads it back.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, golden: &Expect) {
    let text = serde_json::to_string_pretty(value).unwrap();
    golden.assert_eq(&text);
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value);
}

fn replica(state: State, last_exit: Option<Exit>) -> Replica {
    Replica {
        replica: "orders-1".into(),
        index: 1,
        state,
        since_unix_ms: 1_700_000_000_000,
        pid: Some(42),
        port: Some(8080),
        restarts: 3,
        last_exit,
        cpu_seconds: 1.5,
        memory_bytes: 1024,
        open_files: 7,
        processes: 2,
    }
}

#[test]
fn system() {
    check(
        &System {
            name: "shop".into(),
            version: "0.1.0".into(),
            pid: 7,
            started_unix_ms: 1_700_000_000_000,
            control_url: "http://127.0.0.1:4400".into(),
            ingress_url: None,
            apps: vec![SystemApp {
                app: "orders".into(),
                api_url: "http://127.0.0.1:3500".into(),
                ingress_urls: vec!["http://127.0.0.1:8080/".into()],
            }],
        },
        &expect![[r#"
            {
              "name": "shop",
              "version": "0.1.0",
              "pid": 7,
              "started_unix_ms": 1700000000000,
              "control_url": "http://127.0.0.1:4400",
              "ingress_url": null,
              "apps": [
                {
                  "app": "orders",
                  "api_url": "http://127.0.0.1:3500",
                  "ingress_urls": [
                    "http://127.0.0.1:8080/"
                  ]
                }
              ]
            }"#]],
    );
}

fn sample() -> Status {
    Status {
        stopping: false,
        apps: vec![App {
            app: "orders".into(),
            replicas: vec![replica(State::Ready, Some(Exit::Signal(9)))],
        }],
        targets: vec![Target {
            target: "orders".into(),
            in_flight: 1,
            waiting: 2,
            shed_total: 3,
            replicas: vec![TargetReplica {
                replica: "orders-1".into(),
                address: Some("127.0.0.1:8080".into()),
                ejected: false,
                concurrency_limit: 20,
                in_flight: 1,
            }],
        }],
        edges: vec![Edge {
            caller: "storefront".into(),
            target: "orders".into(),
            calls_total: 10,
            failures_total: 1,
            fallbacks_total: 0,
            attempts_total: 12,
            retries_total: 2,
            retry_budget: 11.5,
            breaker: Breaker::HalfOpen,
            latency: Some(Latency {
                p50_seconds: Some(0.002),
                p99_seconds: None,
            }),
        }],
    }
}

#[test]
fn status() {
    check(
        &sample(),
        &expect![[r#"
            {
              "stopping": false,
              "apps": [
                {
                  "app": "orders",
                  "replicas": [
                    {
                      "replica": "orders-1",
                      "index": 1,
                      "state": "ready",
                      "since_unix_ms": 1700000000000,
                      "pid": 42,
                      "port": 8080,
                      "restarts": 3,
                      "last_exit": {
                        "signal": 9
                      },
                      "cpu_seconds": 1.5,
                      "memory_bytes": 1024,
                      "open_files": 7,
                      "processes": 2
                    }
                  ]
                }
              ],
              "targets": [
                {
                  "target": "orders",
                  "in_flight": 1,
                  "waiting": 2,
                  "shed_total": 3,
                  "replicas": [
                    {
                      "replica": "orders-1",
                      "address": "127.0.0.1:8080",
                      "ejected": false,
                      "concurrency_limit": 20,
                      "in_flight": 1
                    }
                  ]
                }
              ],
              "edges": [
                {
                  "caller": "storefront",
                  "target": "orders",
                  "calls_total": 10,
                  "failures_total": 1,
                  "fallbacks_total": 0,
                  "attempts_total": 12,
                  "retries_total": 2,
                  "retry_budget": 11.5,
                  "breaker": "half_open",
                  "latency": {
                    "p50_seconds": 0.002,
                    "p99_seconds": null
                  }
                }
              ]
            }"#]],
    );
}

#[test]
fn states() {
    let states = vec![
        State::Waiting {
            waits_for: vec!["database (healthy)".into()],
        },
        State::Starting,
        State::Ready,
        State::Unready {
            reason: "readiness: answered 503".into(),
        },
        State::Draining,
        State::Stopping,
        State::Completed,
        State::BackOff { restart_in_ms: 2000 },
        State::CrashLoop {
            restart_in_ms: 60_000,
        },
        State::Failed {
            reason: "no such command".into(),
        },
        State::Stopped,
    ];
    let lines: Vec<_> = states
        .iter()
        .map(|state| serde_json::to_string(state).unwrap())
        .collect();
    expect![[r#"
        {"state":"waiting","waits_for":["database (healthy)"]}
        {"state":"starting"}
        {"state":"ready"}
        {"state":"unready","reason":"readiness: answered 503"}
        {"state":"draining"}
        {"state":"stopping"}
        {"state":"completed"}
        {"state":"back_off","restart_in_ms":2000}
        {"state":"crash_loop","restart_in_ms":60000}
        {"state":"failed","reason":"no such command"}
        {"state":"stopped"}"#]]
    .assert_eq(&lines.join("\n"));
    for (line, state) in lines.iter().zip(&states) {
        assert_eq!(serde_json::from_str::<State>(line).unwrap(), *state);
    }
}

#[test]
fn log_line() {
    check(
        &LogLine {
            number: 12,
            time_unix_ms: 1_700_000_000_000,
            app: "orders".into(),
            replica: "orders-1".into(),
            stream: Stream::Stderr,
            text: "listening".into(),
        },
        &expect![[r#"
            {
              "number": 12,
              "time_unix_ms": 1700000000000,
              "app": "orders",
              "replica": "orders-1",
              "stream": "stderr",
              "text": "listening"
            }"#]],
    );
}

#[test]
fn problem() {
    check(
        &Problem {
            error_code: "ERR_NOT_FOUND".into(),
            message: "there is no app called `x`".into(),
        },
        &expect![[r#"
            {
              "errorCode": "ERR_NOT_FOUND",
              "message": "there is no app called `x`"
            }"#]],
    );
}

#[test]
fn state_change() {
    let item = |value: StateValue| StateItem {
        key: "orders||1".into(),
        value,
        etag: "7".into(),
        content_type: None,
        expires_unix_ms: Some(1_700_000_000_000),
    };
    check(
        &StateChange {
            key: "orders||1".into(),
            after: Some(item(StateValue::Value("{}".into()))),
        },
        &expect![[r#"
            {
              "key": "orders||1",
              "after": {
                "key": "orders||1",
                "value": "{}",
                "etag": "7",
                "content_type": null,
                "expires_unix_ms": 1700000000000
              }
            }"#]],
    );
    check(
        &item(StateValue::ValueBase64("/w==".into())),
        &expect![[r#"
            {
              "key": "orders||1",
              "value_base64": "/w==",
              "etag": "7",
              "content_type": null,
              "expires_unix_ms": 1700000000000
            }"#]],
    );
}

#[test]
fn component() {
    check(
        &Component {
            name: "statestore".into(),
            kind: "state.mainstay".into(),
            version: "v1".into(),
        },
        &expect![[r#"
            {
              "name": "statestore",
              "type": "state.mainstay",
              "version": "v1"
            }"#]],
    );
}

#[test]
fn secret() {
    let mut secret = SecretItem {
        name: "db".into(),
        parts: vec!["user".into()],
        values: None,
    };
    check(
        &secret,
        &expect![[r#"
            {
              "name": "db",
              "parts": [
                "user"
              ]
            }"#]],
    );
    secret.values = Some([("user".to_owned(), "ada".to_owned())].into());
    check(
        &secret,
        &expect![[r#"
            {
              "name": "db",
              "parts": [
                "user"
              ],
              "values": {
                "user": "ada"
              }
            }"#]],
    );
}
