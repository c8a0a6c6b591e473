//! Reads graphs from a few words and shows what is found in them.

mod availability;
mod latency;
mod paths;
mod properties;

use std::fmt::Write as _;

use expect_test::Expect;
use mainstay_base::{Latency, parse_duration};

use super::*;

/// Reads a graph: `door a` is where requests enter, `a 99.9% 300ms max=1s x2` a service, `external p 99%` one that is only
/// called, `a -> b times=2 parallel attempts=3 timeout=1s deadline=2s wait=5s` a call, with `else answer` or `else c` at
/// its end a substitute.
fn graph(text: &str) -> Graph {
    let mut services = vec![service("door", Role::Door)];
    let mut calls = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (line, substitute) = match line.split_once(" else ") {
            None => (line, Substitute::Nothing),
            Some((line, "answer")) => (line, Substitute::Answer),
            Some((line, other)) => (line, Substitute::Service(id(other))),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["door", target] => calls.push(call("door", target)),
            [caller, "->", target, settings @ ..] => {
                let mut call = call(caller, target);
                call.substitute = substitute;
                for setting in settings {
                    set_call(&mut call, setting);
                }
                calls.push(call);
            }
            ["external", name, settings @ ..] => services.push(with(service(name, Role::External), settings)),
            [name, settings @ ..] => services.push(with(service(name, Role::App), settings)),
            [] => {}
        }
    }
    Graph::new(services, calls)
}

fn id(name: &str) -> AppId {
    AppId::new(name).expect("a name")
}

fn time(text: &str) -> Duration {
    parse_duration(text).expect("a duration")
}

fn service(name: &str, role: Role) -> Service {
    Service {
        name: id(name),
        role,
        latency: None,
        availability: None,
        replicas: 1,
    }
}

fn with(mut service: Service, settings: &[&str]) -> Service {
    for setting in settings {
        if let Some(replicas) = setting.strip_prefix('x') {
            service.replicas = replicas.parse().expect("a number");
        } else if let Some(max) = setting.strip_prefix("max=") {
            service.latency.as_mut().expect("p99 first").max = Some(time(max));
        } else if setting.ends_with('%') {
            service.availability = Some(setting.parse().expect("an availability"));
        } else {
            service.latency = Some(Latency {
                p99: time(setting),
                max: None,
            });
        }
    }
    service
}

fn call(caller: &str, target: &str) -> Call {
    Call {
        caller: id(caller),
        target: id(target),
        substitute: Substitute::Nothing,
        per_request: 1,
        parallel: false,
        attempts: 1,
        retry_wait: Duration::ZERO,
        budget_ratio: 0.2,
        attempt_timeout: Duration::from_mins(1),
        call_timeout: Duration::from_mins(1),
    }
}

fn set_call(call: &mut Call, setting: &str) {
    match setting.split_once('=').unwrap_or((setting, "")) {
        ("times", times) => call.per_request = times.parse().expect("a number"),
        ("parallel", _) => call.parallel = true,
        ("attempts", attempts) => call.attempts = attempts.parse().expect("a number"),
        ("timeout", timeout) => call.attempt_timeout = time(timeout),
        ("deadline", deadline) => call.call_timeout = time(deadline),
        ("wait", wait) => call.retry_wait = time(wait),
        other => panic!("unknown {other:?}"),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(text: &str, expect: Expect) {
    let report = analyse(&graph(text));
    let mut shown = String::new();
    for finding in &report.findings {
        let path: Vec<String> = finding.path().iter().map(ToString::to_string).collect();
        let mark = if finding.is_breach() { "breach" } else { "warning" };
        writeln!(shown, "{mark} {}: {}", finding.kind(), path.join(" -> ")).expect("text");
        writeln!(shown, "  {}", finding.message()).expect("text");
        for way in finding.ways() {
            writeln!(shown, "  - {way}").expect("text");
        }
    }
    if let Some(Amplification {
        path, worst, load, ..
    }) = report.amplification
    {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        writeln!(
            shown,
            "amplification {worst}, load {load:.2}: {}",
            path.join(" -> ")
        )
        .expect("text");
    }
    expect.assert_eq(&shown);
}
