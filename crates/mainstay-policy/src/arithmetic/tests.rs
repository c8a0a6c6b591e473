use std::fmt::Write as _;

use expect_test::{Expect, expect};
use mainstay_base::{Latency, parse_duration};
use proptest::prelude::*;

use super::availability::Table;
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

#[test]
fn promises_that_hold() {
    check(
        "
        door shop
        shop 99.8% 1s x2
        orders 99.9% 400ms x2
        catalog 99.95% 150ms x2
        payments 90% 300ms x2
        shop -> orders
        shop -> catalog times=2
        orders -> payments deadline=200ms else answer
        orders -> catalog
        ",
        expect![[""]],
    );
}

#[test]
fn availability_is_a_product() {
    check(
        "
        shop 99.9%
        orders 99.9%
        catalog 99.95%
        shop -> orders
        shop -> catalog
        ",
        expect![[r#"
            breach availability: shop -> orders
              shop promises 99.9%, and needs orders 99.9% x catalog 99.95% = 99.85005%
              - promise less: at most 99.85% for shop
              - give the call shop->orders a fallback: then shop can promise 99.95%
              - let orders promise 99.95%
        "#]],
    );
}

#[test]
fn what_two_callees_share_counts_once() {
    check(
        "
        shop 99.85%
        orders 99.9%
        catalog 99.9%
        database 99.95%
        shop -> orders
        shop -> catalog
        orders -> database
        catalog -> database
        ",
        expect![[r#"
            warning single_point_of_failure: database
              database runs as one replica, and shop, orders and catalog cannot do without it
              - run it twice: `replicas: 2` for database
              - give the calls to database a fallback
              - call database after the answer, not before it
        "#]],
    );
}

#[test]
fn a_substitute_takes_its_callee_out_but_not_what_both_need() {
    check(
        "
        shop 99.9%
        primary 99%
        secondary 98%
        database 99.5%
        shop -> primary else secondary
        shop -> secondary else answer
        primary -> database
        secondary -> database
        ",
        expect![[r#"
            breach availability: shop -> primary -> database
              shop promises 99.9%, and needs database 99.5%
              - promise less: at most 99.5% for shop
              - let database promise 99.9%
            warning single_point_of_failure: database
              database runs as one replica, and shop, primary and secondary cannot do without it
              - run it twice: `replicas: 2` for database
              - give the calls to database a fallback
              - call database after the answer, not before it
        "#]],
    );
}

#[test]
fn who_promises_nothing_is_looked_through() {
    check(
        "
        shop 99.9% 300ms
        gateway
        payments 99% 800ms
        shop -> gateway
        gateway -> payments
        ",
        expect![[r#"
            breach availability: shop -> gateway -> payments
              shop promises 99.9%, and needs payments 99%
              - promise less: at most 99% for shop
              - give the call shop->gateway a fallback: then shop can promise 100%
              - let payments promise 99.9%
            breach latency: shop -> gateway
              shop promises 300ms, and its calls take gateway 800ms
              - promise less: 800ms for shop
              - answer without gateway, from a cache or later: the other calls take 0
              - let gateway promise 300ms
            warning single_point_of_failure: payments
              payments runs as one replica, and shop and gateway cannot do without it
              - run it twice: `replicas: 2` for payments
              - give the calls to payments a fallback
              - call payments after the answer, not before it
        "#]],
    );
}

#[test]
fn one_raised_promise_is_not_enough() {
    check(
        "
        shop 99.99%
        a 99.9%
        b 99.9%
        shop -> a
        shop -> b
        ",
        expect![[r#"
            breach availability: shop -> a
              shop promises 99.99%, and needs a 99.9% x b 99.9% = 99.8001%
              - promise less: at most 99.8% for shop
              - give the call shop->b a fallback; alone that allows 99.9%, others are needed
              - let each of them promise more: 99.995% on its own
        "#]],
    );
}

#[test]
fn latency_is_a_sum() {
    check(
        "
        shop 300ms
        orders 120ms
        catalog 100ms
        shop -> orders times=2
        shop -> catalog
        ",
        expect![[r#"
            breach latency: shop -> orders
              shop promises 300ms, and its calls take 2 x orders 120ms + catalog 100ms = 340ms
              - promise less: 340ms for shop
              - make the calls at the same time (`parallel: true`): then they take 240ms
              - answer without orders, from a cache or later: the other calls take 100ms
              - let orders promise 100ms
        "#]],
    );
}

#[test]
fn parallel_calls_take_as_long_as_the_longest() {
    check(
        "
        shop 200ms
        a 150ms
        b 120ms
        c 100ms
        shop -> a parallel
        shop -> b parallel
        shop -> c
        ",
        expect![[r#"
            breach latency: shop -> a
              shop promises 200ms, and its calls take c 100ms + max(a 150ms, b 120ms) = 250ms
              - promise less: 250ms for shop
              - make the calls at the same time (`parallel: true`): then they take 150ms
              - answer without a, from a cache or later: the other calls take 220ms; alone that is not enough
        "#]],
    );
}

#[test]
fn the_longest_time_may_break_alone() {
    check(
        "
        shop 1s max=2s
        slow 100ms max=5s
        shop -> slow
        ",
        expect![[r#"
            breach latency: shop -> slow
              shop promises 2s at most, and its calls take slow 5s
              - promise less: 5s for shop
              - answer without slow, from a cache or later: the other calls take 0
              - let slow promise 2s
        "#]],
    );
}

#[test]
fn retries_multiply() {
    check(
        "
        door a
        a x2
        b x2
        c x2
        d x2
        a -> b attempts=3
        b -> c attempts=3
        a -> c attempts=2
        c -> d attempts=3
        ",
        expect![[r#"
            amplification 27, load 1.73: door -> a -> b -> c -> d
        "#]],
    );
    check(
        "
        a x2
        b x2
        c x2
        d x2
        e x2
        a -> b attempts=3
        b -> c attempts=3
        c -> d attempts=3
        d -> e attempts=3
        ",
        expect![[r#"
            warning retry_amplification: a -> b -> c -> d -> e
              one call may become 3 x 3 x 3 x 3 = 81 calls of e; the retry budgets hold that to 2.07 times the load
              - retry only next to what fails: `maxRetries: 0` for a->b in a Resiliency file
              - take a layer out of the path
              - give a call on the path a fallback, so that its caller has nothing to retry
            amplification 81, load 2.07: a -> b -> c -> d -> e
        "#]],
    );
}

#[test]
fn single_points_of_failure() {
    check(
        "
        door shop
        shop x2
        orders x2
        once
        unimportant
        background
        external payments
        shop -> orders
        orders -> payments
        orders -> once
        shop -> unimportant else answer
        background -> orders
        ",
        expect![[r#"
            warning single_point_of_failure: door -> shop -> orders -> once
              once runs as one replica, and requests from outside cannot do without it
              - run it twice: `replicas: 2` for once
              - give the calls to once a fallback
              - call once after the answer, not before it
            warning single_point_of_failure: door -> shop -> orders -> payments
              payments is outside of your hands, and requests from outside cannot do without it
              - give the calls to payments a fallback
              - name a second provider as the fallback of payments
              - call payments after the answer, not before it
        "#]],
    );
}

#[test]
fn circles_are_found_once() {
    check(
        "
        a x2 99% 1s
        b x2 99% 1s
        c x2 99% 1s
        a -> b
        b -> c
        c -> a
        b -> a
        ",
        expect![[r#"
            breach latency: b -> a
              b promises 1s, and its calls take c 1s + a 1s = 2s
              - promise less: 2s for b
              - make the calls at the same time (`parallel: true`): then they take 1s
              - answer without a, from a cache or later: the other calls take 1s
            warning call_cycle: a -> b -> a
              these services call each other in a circle: one request may go round until its deadline
              - take the call b->a out: hand over what is needed with the request
              - move what both need into a service of its own
              - make one of the calls after the answer, not before it
            warning call_cycle: c -> a -> b -> c
              these services call each other in a circle: one request may go round until its deadline
              - take the call b->c out: hand over what is needed with the request
              - move what both need into a service of its own
              - make one of the calls after the answer, not before it
        "#]],
    );
}

#[test]
fn times_that_do_not_fit() {
    check(
        "
        a x2
        b x2 1s max=20s
        c x2 1s max=8s
        d x2 3s
        a -> b timeout=5s
        b -> c timeout=6s deadline=10s
        a -> d timeout=1s attempts=3 wait=5s deadline=5s
        ",
        expect![[r#"
            warning gives_up_too_early: a -> b -> c
              a gives up on b after 5s, while b may wait 6s for c
              - let b promise a `max` of at least 6s
              - let c promise a `max` of at most 5s
              - give the call b->c a fallback, or a->b
            warning retries_never: a -> d
              a waits 5s before it calls d again, and the call may take 5s in all
              - wait less than 5s between attempts
              - take the retry policy out of the Resiliency file: the SLA gives one
              - let a promise a longer `max`
            warning cuts_off_answers: a -> d
              a waits 1s for an attempt, and d promises 99 of 100 answers within 3s
              - raise the timeout for d to at least 3s
              - take the timeout out of the Resiliency file: the SLA of d gives one
              - let d promise a p99 of at most 1s
            amplification 3, load 1.20: a -> d
        "#]],
    );
}

/// A graph without circles: each service calls later ones only.
fn small_graph() -> impl Strategy<Value = Graph> {
    let calls = prop::collection::vec((0_usize..6, 1_usize..6, 0_usize..12, 1_u32..4), 0..12);
    let availabilities = prop::collection::vec(900_u32..=1000, 7);
    (calls, availabilities).prop_map(|(calls, availabilities)| {
        let name = |index: usize| format!("s{index}");
        let services = availabilities.iter().enumerate().map(|(index, permille)| {
            let mut service = service(&name(index), Role::App);
            service.availability = Some(mainstay_base::Availability::from_ratio(
                f64::from(*permille) / 1000.0,
            ));
            service
        });
        let calls = calls.into_iter().map(|(caller, distance, substitute, attempts)| {
            let target = (caller + distance).min(6);
            let mut call = call(&name(caller), &name(target));
            call.attempts = attempts;
            call.substitute = match substitute {
                0..6 => Substitute::Nothing,
                6..8 => Substitute::Answer,
                other => Substitute::Service(id(&name((caller + other - 7).min(6)))),
            };
            call
        });
        Graph::new(services.collect(), calls.collect())
    })
}

/// Which services answer when those in `down` have failed.
fn up(graph: &Graph, down: &[bool]) -> Vec<bool> {
    let mut up: Vec<bool> = down.iter().map(|down| !down).collect();
    loop {
        let before = up.clone();
        for edge in &graph.calls {
            let answered = up[edge.target]
                || edge.call.substitute == Substitute::Answer
                || edge.other.is_some_and(|other| up[other]);
            up[edge.caller] &= answered;
        }
        if up == before {
            return up;
        }
    }
}

/// The largest product of attempts over all paths from `service`, by walking them all.
fn worst_product(graph: &Graph, service: usize) -> f64 {
    let onwards =
        |edge: &super::graph::Edge| f64::from(edge.call.attempts) * worst_product(graph, edge.target);
    graph.calls_of(service).map(onwards).fold(1.0, f64::max)
}

proptest! {
    #[test]
    fn a_need_is_what_alone_brings_a_service_down(graph in small_graph()) {
        let table = Table::new(&graph);
        for failed in 0..graph.services.len() {
            let down: Vec<bool> = (0..graph.services.len()).map(|index| index == failed).collect();
            let up = up(&graph, &down);
            for service in (0..graph.services.len()).filter(|service| *service != failed) {
                prop_assert_eq!(table.needs(service).any(|need| need == failed), !up[service]);
            }
        }
    }

    #[test]
    fn the_bound_is_never_below_the_truth_and_meets_it_without_stand_ins(graph in small_graph()) {
        let table = Table::new(&graph);
        let count = graph.services.len();
        // The truth: every combination of failures with its probability, given each service's own share.
        let own: Vec<f64> = (0..count).map(|service| table.own(service)).collect();
        let mut truth = vec![0.0; count];
        for bits in 0..1_u32 << count {
            let down: Vec<bool> = (0..count).map(|service| bits & (1 << service) != 0).collect();
            let share = |service: usize| if down[service] { 1.0 - own[service] } else { own[service] };
            let probability: f64 = (0..count).map(share).product();
            let up = up(&graph, &down);
            for service in (0..count).filter(|service| up[*service]) {
                truth[service] += probability;
            }
        }
        let stand_ins = graph.calls.iter().any(|edge| edge.other.is_some());
        for service in 0..count {
            let all = table.bound(service) * own[service];
            prop_assert!(all >= truth[service] - 1e-9);
            prop_assert!(stand_ins || (all - truth[service]).abs() < 1e-9);
        }
    }

    #[test]
    fn promising_what_can_be_held_holds(graph in small_graph()) {
        for finding in analyse(&graph).findings {
            let Finding::Availability { service, ways, .. } = finding else { continue };
            let Some(Way::PromiseAvailability(lower)) = ways.first() else { panic!("a way out") };
            let mut mended = graph.clone();
            for candidate in mended.services.iter_mut().filter(|candidate| candidate.name == service) {
                candidate.availability = Some(*lower);
            }
            let still = analyse(&mended).findings.into_iter().any(|finding| {
                matches!(finding, Finding::Availability { service: broken, .. } if broken == service)
            });
            prop_assert!(!still);
        }
    }

    #[test]
    fn a_raised_promise_holds(graph in small_graph()) {
        for finding in analyse(&graph).findings {
            let Finding::Availability { service, ways, .. } = finding else { continue };
            for way in ways {
                let Way::RaiseAvailability { target, to } = way else { continue };
                let mut mended = graph.clone();
                for candidate in mended.services.iter_mut().filter(|candidate| candidate.name == target) {
                    candidate.availability = Some(to);
                }
                let still = analyse(&mended).findings.into_iter().any(|finding| {
                    matches!(finding, Finding::Availability { service: broken, .. } if broken == service)
                });
                prop_assert!(!still, "{service} needs {target} at {to}");
            }
        }
    }

    #[test]
    fn amplification_is_the_worst_of_all_paths(graph in small_graph()) {
        let worst = (0..graph.services.len()).map(|service| worst_product(&graph, service)).fold(1.0, f64::max);
        let found = analyse(&graph).amplification.map_or(1.0, |found| found.worst);
        prop_assert!((found - worst).abs() < 1e-9);
    }
}
