//! What a manifest may say.

use expect_test::expect;

use super::check;

#[test]
fn a_good_manifest() {
    check(
        r#"
name: shop
x-own: { anything: [goes] }
apps:
  storefront:
    command: ["./storefront", --port, 8080, "${PORT}"]
    port: 8080
    ingress: { path: / }
    calls: [orders]
    sla: { latency: 300ms, availability: 99.9% }
    env: { A: 1.10, B: true, TOWN: "${HOME_TOWN}", COST: "$${A} $5", D: "${NOPE:-none}" }
  orders:
    command: ./orders --name 'two words'
    replicas: 2..6
    needs: { storefront: started }
    calls: { payments: { fallback: { body: "{}" } }, storefront: }
external:
  payments: { url: "https://psp.example", sla: { latency: { p99: 800ms, max: 2s }, availability: 99.5% } }
"#,
        expect![[r#"
            storefront ["./storefront", "--port", "8080", "${PORT}"] [("A", "1.10"), ("B", "true"), ("TOWN", "Pisa"), ("COST", "${A} $5"), ("D", "none")]
            orders ["./orders", "--name", "two words"] []
            payments at https://psp.example/
        "#]],
    );
}

#[test]
fn resources_are_read_with_the_manifest() {
    check(
        r#"
apps:
  shop: { command: x, calls: [psp, order] }
  batch: { command: x, calls: [psp] }
external:
  psp: { sla: { latency: 1s } }
resources: ./res
==> res/b.yaml
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: psp }
scopes: [shop]
spec: { baseUrl: "https://psp.example" }
==> res/a.yml
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: r }
spec:
  policies: { timeouts: { t: 1s } }
  targets: { apps: { shpo: { timeout: t } } }
==> res/sub/c.yaml
this: is not read
==> res/notes.txt
neither: is this
"#,
        expect![[r#"
            mainstay.yaml:3:36: error M014: `shop` calls `order`, which is neither an app nor an external service
                known are `batch`, `psp`, `shop`
            mainstay.yaml:4:32: error M014: `batch` calls `psp`, whose scopes are shop
                add `batch` to the scopes at res/b.yaml:3, or take the call out
            res/a.yml:6:22: warning M014: there is no app `shpo`: what is said of it has no effect
                did you mean `shop`?
        "#]],
    );
}

#[test]
fn an_http_endpoint_is_an_external_service() {
    check(
        r#"
name: { a: b }
apps: { shop: { command: x, calls: [psp] } }
external: { psp: { url: "https://other.example" }, none: {} }
resources: res
==> res/b.yaml
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: psp }
spec: { baseUrl: "https://psp.example" }
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: shop }
spec: { baseUrl: "https://psp.example" }
"#,
        expect![[r#"
            mainstay.yaml:2:7: error M007: `name` must be text, not a mapping
            mainstay.yaml:4:52: error M008: `external.none` needs the key `url`, or a Dapr HTTPEndpoint of its name
            res/b.yaml:3:13: error M018: the HTTPEndpoint `psp` has the name of an external service with a `url`
                see mainstay.yaml:4; keep one of the two, or rename one
            res/b.yaml:8:13: error M018: the HTTPEndpoint `shop` has the name of an app
                see mainstay.yaml:3; keep one of the two, or rename one
        "#]],
    );
}

#[test]
fn anchors_and_merges() {
    check(
        r#"
x-common: &common
  env: { A: "1" }
  restart: always
apps:
  one: { <<: *common, command: [one] }
  two:
    command: [two]
    env: { B: "2" }
    <<: *common
"#,
        expect![[r#"
            one ["one"] [("A", "1")]
            two ["two"] [("B", "2")]
        "#]],
    );
}

#[test]
fn env_files_in_the_syntax_of_dotenv() {
    check(
        r#"
apps:
  good: { command: x, env_file: good.env, env: { LAST: wins, TOWN: "${GREETING} ${HOME_TOWN}" } }
==> good.env
# a comment
GREETING=hello   # and one behind
export QUOTED="two\nlines" # behind
RAW='$HOME ${NOT_READ}'
JOINED=${GREETING}-${HOME_TOWN}
EMPTY=
LAST=loses
"#,
        expect![[r#"
            good ["x"] [("GREETING", "hello"), ("QUOTED", "two\nlines"), ("RAW", "$HOME ${NOT_READ}"), ("JOINED", "hello-Pisa"), ("EMPTY", ""), ("LAST", "loses"), ("LAST", "wins"), ("TOWN", "hello Pisa")]
        "#]],
    );
    check(
        r#"
apps: { bad: { command: x, env_file: [bad.env, none.env] } }
==> bad.env
NAME ONLY
=x
A="open
B='x' y
C=${NOT_SET}
"#,
        expect![[r#"
            bad.env:1: error M019: no `=`; write NAME=value
            bad.env:2: error M019: `` is not the name of a variable
            bad.env:3: error M019: the quote " is not closed
            bad.env:4: error M019: `y` follows the closing quote
            bad.env:5: error M019: the variable `NOT_SET` is not set
            mainstay.yaml:2:48: error M019: the env file none.env: it cannot be read: No such file or directory (os error 2)
                paths are seen from the manifest's folder
        "#]],
    );
}

#[test]
fn every_word_of_the_schema_is_understood() {
    check(
        r#"
name: all
apps:
  full:
    command: ["./full", "${APP_ID}"]
    dir: sub
    protocol: grpc
    replicas: 3
    env: { A: b }
    needs: [other]
    probes:
      startup: { log: "ready", period: 100ms }
      readiness: { http: { path: /ready, port: 81 }, timeout: 2s, success_threshold: 2 }
      liveness: { exec: "pg_isready -q", initial_delay: 0s, failure_threshold: 5 }
    restart: { policy: always, backoff_min: 1s, backoff_max: 10s, calm: 1m, max_restarts: 3 }
    stop: { signal: SIGINT, grace: 3s }
    ingress: [{ path: /a, host: "*.example.org" }, { path: /b }]
    calls:
      other: { hedge: true, priority: low, per_request: 2, parallel: true, fallback: { app: psp } }
      psp:
    sla: { latency: { p99: 100ms, max: 1s }, availability: 99%, concurrency: 8, priority: critical }
  other: { command: other, probes: { readiness: { tcp: {} }, liveness: { tcp: 90 } } }
external:
  psp: { url: "https://${HOME_TOWN}.example/v2", headers: { authorization: "Bearer ${HOME_TOWN}" } }
"#,
        expect![[r#"
            full ["./full", "${APP_ID}"] [("A", "b")]
            other ["other"] []
            psp at https://Pisa.example/v2
        "#]],
    );
}
