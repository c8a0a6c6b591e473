use expect_test::{Expect, expect};

use super::*;
use crate::manifest::tests::load_text;

const SHOP: &str = r#"
apps:
  shop:
    command: x
    ingress: { path: / }
    calls: { orders: { hedge: true, priority: critical }, catalog: { fallback: { body: "[]" } } }
    sla: { latency: 300ms, priority: low }
  orders:
    command: x
    replicas: 2..6
    sla: { latency: 120ms, availability: 99.95%, concurrency: 200 }
  catalog: { command: x }
resources: res
==> res/resiliency.yaml
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: r }
spec:
  policies:
    timeouts: { quick: 50ms }
    retries: { DefaultAppRetryPolicy: { policy: constant, duration: 10ms, maxRetries: 1 } }
    circuitBreakers: { five: { trip: consecutiveFailures > 5, timeout: 5s } }
  targets: { apps: { catalog: { timeout: quick, circuitBreaker: five } } }
"#;

#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(words: &[&str], expect: Expect) {
    let manifest = load_text(SHOP).expect("a manifest");
    let assembly = assembly::assemble(&manifest);
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let shown = match asked(&words) {
        Ok(Some((caller, target))) => match find(&manifest, &assembly, &caller, &target) {
            Ok((edge, target)) => render::explain::edge(edge, target, Palette::PLAIN),
            Err(failure) => failure.to_string(),
        },
        Ok(None) => {
            let declared: Vec<&Edge> = assembly
                .edges
                .iter()
                .filter(|edge| edge.place.is_some())
                .collect();
            render::explain::list(&declared, Palette::PLAIN)
        }
        Err(failure) => failure.to_string(),
    };
    expect.assert_eq(&shown);
}

#[test]
fn an_edge_derived_from_an_sla() {
    check(
        &["shop->orders"],
        expect![[r#"
            shop -> orders  mainstay.yaml:6
            NUMBER           VALUE                                         SUM                                                                  ORIGIN
            attempt_timeout  240ms                                         2 x p99 = 2 x 120ms                                                  sla of orders (mainstay.yaml:11)
            deadline         490ms                                         2 attempts x 240ms + 1 wait x 10ms                                   resiliency file res/resiliency.yaml:7
              instead of     600ms                                         3 attempts x 240ms, at most what shop may take: 2 x p99 = 2 x 300ms  sla of shop (mainstay.yaml:7)
            slow_after       120ms                                         p99                                                                  sla of orders (mainstay.yaml:11)
            retries          1                                             retries.DefaultAppRetryPolicy.maxRetries                             resiliency file res/resiliency.yaml:7
              instead of     2                                             at most 3 attempts, of calls that may be made twice                  default
            retry_backoff    10ms each                                     retries.DefaultAppRetryPolicy.duration                               resiliency file res/resiliency.yaml:7
              instead of     random up to 12ms doubling to 120ms           max(10ms, p99 / 10) to p99 = 120ms                                   sla of orders (mainstay.yaml:11)
            retry_needs      120ms left                                    one more p99                                                         sla of orders (mainstay.yaml:11)
            retry_on         failures, timeouts, broken connections        never what was refused to protect the callee                         default
            retry_budget     20% of calls in 10s, plus 10/s                a callee that is down gets at most 1.2 times its load                default
            breaker_trip     more than 50% of at least 20 calls failed     failed is an error or an answer after slow_after                     default
            breaker_window   10s                                           constant                                                             default
            breaker_open     1s doubling to 30s                            each time in a row twice as long                                     default
            breaker_ramp     10s                                           after one good probe                                                 default
            hedge            after the p95, at least 1ms, for 5% of calls  asked for                                                            call (mainstay.yaml:6)
            fallback         none
            priority         critical

            orders, whoever calls
            NUMBER         VALUE                                 SUM                                                                                    ORIGIN
            limit          1 to 200 calls per replica            learnt, at most the promised concurrency                                               sla of orders (mainstay.yaml:11)
            limit_initial  20                                    min(20, limit)                                                                         sla of orders (mainstay.yaml:11)
            queue_length   2400                                  what is served in time: 6 replicas x 200 x 240ms / 120ms                               sla of orders (mainstay.yaml:11)
            queue_wait     120ms, or 6ms while it stands         CoDel: a twentieth of, within max(100ms, p99); the deadline of the call holds as well  sla of orders (mainstay.yaml:11)
            eject_after    5 failures in a row                   never more than half of the replicas, never the last                                   default
            eject_below    80% good of at least 20 calls in 10s  1 - max(20 x (1 - availability), 20%) = 1 - max(20 x 0.05%, 20%)                       sla of orders (mainstay.yaml:11)
            eject_for      5s doubling to 5m                     then one probe                                                                         default
            drain          240ms                                 2 x p99 = 2 x 120ms                                                                    sla of orders (mainstay.yaml:11)
        "#]],
    );
}

#[test]
fn an_edge_that_a_resource_overrides() {
    check(
        &["shop", "catalog"],
        expect![[r#"
            shop -> catalog  mainstay.yaml:6
            NUMBER           VALUE                                      SUM                                                               ORIGIN
            attempt_timeout  50ms                                       timeouts.quick                                                    resiliency file res/resiliency.yaml:6
              instead of     2s                                         2 x p99 = 2 x 1s                                                  assumed, catalog promises nothing
            deadline         150ms                                      3 attempts x 50ms                                                 resiliency file res/resiliency.yaml:6
              instead of     600ms                                      3 attempts x 2s, at most what shop may take: 2 x p99 = 2 x 300ms  sla of shop (mainstay.yaml:7)
            slow_after       1s                                         p99                                                               assumed, catalog promises nothing
            retries          2                                          at most 3 attempts, of calls that may be made twice               default
            retry_backoff    random up to 100ms doubling to 1s          max(10ms, p99 / 10) to p99 = 1s                                   assumed, catalog promises nothing
            retry_needs      50ms left                                  no more than an attempt may take                                  resiliency file res/resiliency.yaml:6
              instead of     1s left                                    one more p99                                                      assumed, catalog promises nothing
            retry_on         failures, timeouts, broken connections     never what was refused to protect the callee                      default
            retry_budget     20% of calls in 10s, plus 10/s             a callee that is down gets at most 1.2 times its load             default
            breaker_trip     more than 5 failures in a row              circuitBreakers.five.trip                                         resiliency file res/resiliency.yaml:8
              instead of     more than 50% of at least 20 calls failed  failed is an error or an answer after slow_after                  default
            breaker_window   10s                                        constant                                                          default
            breaker_open     5s                                         circuitBreakers.five.timeout                                      resiliency file res/resiliency.yaml:8
              instead of     1s doubling to 30s                         each time in a row twice as long                                  default
            breaker_ramp     10s                                        after one good probe                                              default
            hedge            off                                        not asked for                                                     default
            fallback         200 with 2 bytes
            priority         low

            catalog, whoever calls
            NUMBER         VALUE                                 SUM                                                                                    ORIGIN
            limit          1 to 1000 calls per replica           learnt from latency                                                                    default
            limit_initial  20                                    min(20, limit)                                                                         default
            queue_length   2000                                  what is served in time: 1 replica x 1000 x 2s / 1s                                     assumed, catalog promises nothing
            queue_wait     1s, or 50ms while it stands           CoDel: a twentieth of, within max(100ms, p99); the deadline of the call holds as well  assumed, catalog promises nothing
            eject_after    5 failures in a row                   never more than half of the replicas, never the last                                   default
            eject_below    80% good of at least 20 calls in 10s  1 - max(20 x (1 - availability), 20%) = 1 - max(20 x 1%, 20%)                          assumed, catalog promises nothing
            eject_for      5s doubling to 5m                     then one probe                                                                         default
            drain          2s                                    2 x p99 = 2 x 1s                                                                       assumed, catalog promises nothing
        "#]],
    );
}

#[test]
fn the_list_of_edges() {
    check(
        &[],
        expect![[r#"
        CALLER   TARGET   ATTEMPT  DEADLINE  RETRIES  FALLBACK          DECLARED
        ingress  shop       600ms     1.21s        1  none              mainstay.yaml:3
        shop     orders     240ms     490ms        1  none              mainstay.yaml:6
        shop     catalog     50ms     150ms        2  200 with 2 bytes  mainstay.yaml:6
    "#]],
    );
}

#[test]
fn edges_that_do_not_exist() {
    check(
        &["shop->order"],
        expect!["there is no `order`; did you mean `orders`?"],
    );
    check(
        &["shp->orders"],
        expect!["nobody called `shp` calls anyone; did you mean `shop`?"],
    );
    check(
        &["orders->catalog"],
        expect!["`orders` does not call `catalog`: add it to its `calls` in mainstay.yaml"],
    );
    check(
        &["ingress->catalog"],
        expect!["the front door has no route to `catalog`: give it an `ingress` in mainstay.yaml"],
    );
}

#[test]
fn an_edge_is_one_word_or_two() {
    for words in [&["a->b"][..], &["a -> b"], &["a→b"], &["a", "b"]] {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let edge = ("a".to_owned(), "b".to_owned());
        assert_eq!(asked(&words).expect("an edge"), Some(edge));
    }
    let no_edge = expect![
        "`examples/shop` is no edge: write one as 'CALLER->TARGET' or as two words, and the folder of the manifest with --dir"
    ];
    check(&["examples/shop"], no_edge);
    let no_edge = expect![
        "`a->b examples/shop` is no edge: write one as 'CALLER->TARGET' or as two words, and the folder of the manifest with --dir"
    ];
    check(&["a->b", "examples/shop"], no_edge);
}

#[test]
fn json_says_the_same_as_the_policy() {
    let manifest = load_text(SHOP).expect("a manifest");
    let assembly = assembly::assemble(&manifest);
    let (edge, target) = find(&manifest, &assembly, "shop", "catalog").expect("an edge");
    let json = explained(edge, target);
    let line = |name: &str| {
        json["edge"]
            .as_array()
            .and_then(|lines| lines.iter().find(|line| line["name"] == name))
            .cloned()
    };
    let timeout = line("attempt_timeout").expect("a line");
    assert_eq!(timeout["value"], "50ms");
    assert_eq!(timeout["origin"], "resiliency file res/resiliency.yaml:6");
    assert_eq!(timeout["overridden"]["value"], "2s");
    assert_eq!(edge.derived.policy.attempt_timeout.as_millis(), 50);
}
