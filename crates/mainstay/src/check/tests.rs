use expect_test::{Expect, expect};

use super::*;
use crate::manifest::tests::load_text;

#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(input: &str, expect: Expect) {
    let manifest = load_text(input).expect("a manifest");
    let report = arithmetic::analyse(&graph(&manifest, &assemble(&manifest)));
    expect.assert_eq(&render::check::report(&manifest, &report, Palette::PLAIN));
}

/// Seven faults are planted: orders cannot answer as often nor as fast as it promises (payments has no fallback), catalog
/// and search call each other, the Resiliency file cuts off answers of search and makes retries to inventory pointless,
/// and payments and inventory are single points of failure.
const BROKEN: &str = r#"
apps:
  storefront:
    command: x
    replicas: 2
    ingress: { path: / }
    calls: [orders, catalog]
    sla: { latency: 2s, availability: 99% }
  orders:
    command: x
    replicas: 2
    calls: [inventory, payments]
    sla: { latency: 500ms, availability: 99.9% }
  inventory: { command: x, sla: { latency: 100ms, availability: 99.95% } }
  catalog: { command: x, replicas: 2, calls: [search], sla: { latency: 300ms, availability: 99.9% } }
  search: { command: x, replicas: 2, calls: { catalog: { fallback: { body: "{}" } } }, sla: { latency: 300ms } }
external:
  payments: { url: "https://psp.example", sla: { latency: 800ms, availability: 99.5% } }
resources: res
==> res/resiliency.yaml
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: broken }
spec:
  policies:
    timeouts: { hasty: 100ms }
    retries: { patient: { policy: constant, duration: 5s, maxRetries: 3 } }
  targets:
    apps:
      search: { timeout: hasty }
      inventory: { retry: patient }
==> res/pubsub.yaml
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: orders }
spec: { type: pubsub.kafka, version: v1 }
"#;

#[test]
fn every_planted_fault_is_found() {
    check(
        BROKEN,
        expect![[r#"
            SERVICE       P99  ITS CALLS TAKE  AVAILABILITY  WHAT IT NEEDS HAS
            storefront     2s           800ms           99%           99.3508%
            orders      500ms           900ms         99.9%          99.45025%
            inventory   100ms               -        99.95%                  -
            catalog     300ms           300ms         99.9%                  -
            search      300ms           300ms             -                  -
            payments    800ms               -         99.5%                  -

            retries   3 x 3 x 4 attempts at worst, 1.73 times the load with the budgets   ingress -> storefront -> orders -> inventory

            mainstay.yaml:13: cannot hold: orders promises 99.9%, and needs payments 99.5% x inventory 99.95% = 99.45025%
                orders -> payments
                - promise less: at most 99.45% for orders
                - give the call orders->payments a fallback: then orders can promise 99.95%
                - let payments promise 99.95%

            mainstay.yaml:13: cannot hold: orders promises 500ms, and its calls take inventory 100ms + payments 800ms = 900ms
                orders -> payments
                - promise less: 900ms for orders
                - answer without payments, from a cache or later: the other calls take 100ms
                - let payments promise 400ms

            mainstay.yaml:15: warning: these services call each other in a circle: one request may go round until its deadline
                catalog -> search -> catalog
                - take the call search->catalog out: hand over what is needed with the request
                - move what both need into a service of its own
                - make one of the calls after the answer, not before it

            mainstay.yaml:9: warning: orders waits 5s before it calls inventory again, and the call may take 1s in all
                orders -> inventory
                - wait less than 1s between attempts
                - take the retry policy out of the Resiliency file: the SLA gives one
                - let orders promise a longer `max`

            mainstay.yaml:15: warning: catalog waits 100ms for an attempt, and search promises 99 of 100 answers within 300ms
                catalog -> search
                - raise the timeout for search to at least 300ms
                - take the timeout out of the Resiliency file: the SLA of search gives one
                - let search promise a p99 of at most 100ms

            mainstay.yaml:14: warning: inventory runs as one replica, and requests from outside cannot do without it
                ingress -> storefront -> orders -> inventory
                - run it twice: `replicas: 2` for inventory
                - give the calls to inventory a fallback
                - call inventory after the answer, not before it

            mainstay.yaml:18: warning: payments is outside of your hands, and requests from outside cannot do without it
                ingress -> storefront -> orders -> payments
                - give the calls to payments a fallback
                - name a second provider as the fallback of payments
                - call payments after the answer, not before it

            res/pubsub.yaml:4:9: note M032: the component `orders` is not used: there is no `pubsub.kafka` yet

            2 SLAs cannot hold, 5 warnings
        "#]],
    );
}

#[test]
fn nothing_is_invented() {
    check(
        r#"
apps:
  storefront:
    command: x
    replicas: 2
    ingress: { path: / }
    calls: { orders:, catalog: { parallel: true }, images: { parallel: true, fallback: { status: 204 } } }
    sla: { latency: 1s, availability: 99.8% }
  orders:
    command: x
    replicas: 2
    calls: { payments: { fallback: { status: 202 } }, inventory: }
    sla: { latency: 800ms, availability: 99.9% }
  inventory: { command: x, replicas: 2, sla: { latency: 100ms, availability: 99.95% } }
  catalog: { command: x, replicas: 2, sla: { latency: 150ms, availability: 99.95% } }
  images: { command: x, sla: { latency: 200ms } }
  migrate: { command: x, restart: never }
external:
  payments: { url: "https://psp.example", sla: { latency: 600ms, availability: 99% } }
"#,
        expect![[r#"
            SERVICE       P99  ITS CALLS TAKE  AVAILABILITY  WHAT IT NEEDS HAS
            storefront     1s              1s         99.8%          99.85005%
            orders      800ms           700ms         99.9%             99.95%
            inventory   100ms               -        99.95%                  -
            catalog     150ms               -        99.95%                  -
            images      200ms               -             -                  -
            payments    600ms               -           99%                  -

            retries   3 x 3 x 3 attempts at worst, 1.73 times the load with the budgets   ingress -> storefront -> orders -> payments

            the SLAs can hold
        "#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one long text")]
fn as_json() {
    let manifest = load_text(
        r#"
apps:
  a: { command: x, replicas: 2, calls: [b], sla: { latency: 100ms } }
  b: { command: x, replicas: 2, sla: { latency: 150ms } }
"#,
    )
    .expect("a manifest");
    let report = arithmetic::analyse(&graph(&manifest, &assemble(&manifest)));
    expect![[r#"
        {
          "holds": false,
          "services": [
            {
              "service": "a",
              "promised": {
                "p99_seconds": 0.1,
                "max_seconds": 0.2,
                "availability": null
              },
              "its_calls": {
                "p99_seconds": 0.15,
                "max_seconds": 0.3,
                "availability": 1.0
              }
            },
            {
              "service": "b",
              "promised": {
                "p99_seconds": 0.15,
                "max_seconds": 0.3,
                "availability": null
              },
              "its_calls": {
                "p99_seconds": 0.0,
                "max_seconds": 0.0,
                "availability": 1.0
              }
            }
          ],
          "findings": [
            {
              "kind": "latency",
              "severity": "error",
              "path": [
                "a",
                "b"
              ],
              "message": "a promises 100ms, and its calls take b 150ms",
              "ways_out": [
                "promise less: 150ms for a",
                "answer without b, from a cache or later: the other calls take 0",
                "let b promise 100ms"
              ],
              "place": "mainstay.yaml:3"
            }
          ],
          "retry_amplification": {
            "path": [
              "a",
              "b"
            ],
            "attempts": [
              3
            ],
            "worst": 3.0,
            "load": 1.2
          },
          "diagnostics": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&to_json(&manifest, &report)).expect("JSON"));
}
