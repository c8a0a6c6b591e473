use expect_test::expect;
use mainstay_api::wire::{App, Latency, TargetReplica};

use super::*;

const NOW: u64 = 1_700_000_100_000;

fn replica(index: u32, state: State) -> Replica {
    let running = matches!(state, State::Ready | State::Unready { .. });
    Replica {
        replica: format!("orders-{index}"),
        index,
        state,
        since_unix_ms: NOW - 12_000,
        pid: running.then_some(4000 + index),
        port: Some(20_000 + u16::try_from(index).unwrap()),
        restarts: index - 1,
        last_exit: Some(Exit::Code(3)),
        cpu_seconds: 1.54,
        memory_bytes: 12_345_678,
        open_files: 9,
        processes: 1,
    }
}

fn example() -> Status {
    Status {
        stopping: false,
        apps: vec![App {
            app: "orders".to_owned(),
            replicas: vec![
                replica(1, State::Ready),
                replica(
                    2,
                    State::Unready {
                        reason: "readiness: answered 503".to_owned(),
                    },
                ),
                replica(
                    3,
                    State::Waiting {
                        waits_for: vec!["database (healthy)".to_owned()],
                    },
                ),
                replica(
                    4,
                    State::CrashLoop {
                        restart_in_ms: 60_000,
                    },
                ),
            ],
        }],
        targets: vec![Target {
            target: "orders".to_owned(),
            in_flight: 3,
            waiting: 1,
            shed_total: 7,
            replicas: vec![
                TargetReplica {
                    replica: "orders-1".to_owned(),
                    address: Some("127.0.0.1:20001".to_owned()),
                    ejected: false,
                    concurrency_limit: 20,
                    in_flight: 3,
                },
                TargetReplica {
                    replica: "orders-2".to_owned(),
                    address: None,
                    ejected: true,
                    concurrency_limit: 5,
                    in_flight: 0,
                },
            ],
        }],
        edges: vec![
            idle_edge_to_itself(),
            Edge {
                caller: "storefront".to_owned(),
                target: "orders".to_owned(),
                calls_total: 100,
                failures_total: 2,
                fallbacks_total: 0,
                attempts_total: 109,
                retries_total: 9,
                retry_budget: 11.6,
                breaker: Breaker::HalfOpen,
                latency: Some(Latency {
                    p50_seconds: Some(0.0005),
                    p99_seconds: None,
                }),
            },
        ],
    }
}

#[test]
fn everything_is_shown() {
    expect![[r"
        APP     REPLICA  STATE                                          PID   PORT  RESTARTS   CPU   MEMORY
        orders        1  ready (12s)                                   4001  20001         0  1.5s  12.3 MB
        orders        2  unready: readiness: answered 503 (12s)        4002  20002         1  1.5s  12.3 MB
        orders        3  waiting for database (healthy) (12s)             -  20003         2     -        -
        orders        4  crash loop: exit code 3, restarts after 1m0s     -  20004         3     -        -

        EDGE                  CALLS  FAILED  FALLBACKS  RETRIES  BUDGET    P50    P99  BREAKER
        storefront -> orders    100       2          0        9      12  0.5ms  > 60s  half-open

        TARGET  IN FLIGHT  LIMIT  WAITING  SHED  REPLICAS  EJECTED
        orders          3     25        1     7         2        1
    "]]
    .assert_eq(&status(&example(), NOW, Palette::PLAIN));
}

#[test]
fn what_is_not_there_is_not_shown() {
    let quiet = Status {
        stopping: true,
        apps: Vec::new(),
        targets: Vec::new(),
        edges: Vec::new(),
    };
    expect![[r"
        APP  REPLICA  STATE  PID  PORT  RESTARTS  CPU  MEMORY

        stopping
    "]]
    .assert_eq(&status(&quiet, NOW, Palette::PLAIN));
}

/// Not worth a line.
fn idle_edge_to_itself() -> Edge {
    Edge {
        caller: "orders".to_owned(),
        target: "orders".to_owned(),
        calls_total: 0,
        failures_total: 0,
        fallbacks_total: 0,
        attempts_total: 0,
        retries_total: 0,
        retry_budget: 100.0,
        breaker: Breaker::Closed,
        latency: None,
    }
}
