use std::fmt::Write as _;

use expect_test::{Expect, expect};
use mainstay_base::AppId;
use mainstay_policy::overrides::Overrides;

use super::*;

/// Reads one resource file and shows what it changes about the calls of `caller` to `target`, and every mistake.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(edges: &[(&str, &str)], input: &str, expect: Expect) {
    let (resources, diagnostics) = read(input);
    let mut shown = String::new();
    for (caller, target) in edges {
        let name = |name: &str| AppId::new(name).expect("a name");
        let found = overrides(&resources.resiliencies, &name(caller), &name(target));
        writeln!(shown, "{caller} -> {target}").expect("text");
        let Overrides {
            timeout,
            max_retries,
            backoff,
            retry_on,
            trip,
            window,
            open,
        } = found;
        let lines = [
            timeout.map(|it| (format!("{:?}", it.value), it.sum, it.place)),
            max_retries.map(|it| (format!("{} retries", it.value), it.sum, it.place)),
            backoff.map(|it| (format!("{:?}", it.value), it.sum, it.place)),
            retry_on.map(|it| (format!("{:?}", it.value), it.sum, it.place)),
            trip.map(|it| (format!("{:?}", it.value), it.sum, it.place)),
            window.map(|it| (format!("window {:?}", it.value), it.sum, it.place)),
            open.map(|it| (format!("open {:?}", it.value), it.sum, it.place)),
        ];
        for (value, sum, place) in lines.into_iter().flatten() {
            writeln!(shown, "  {value}: {sum} ({place})").expect("text");
        }
    }
    for endpoint in &resources.endpoints {
        let headers: Vec<_> = endpoint
            .headers
            .iter()
            .map(|(name, source)| match source {
                HeaderSource::Value(value) => (name, value.as_bytes().escape_ascii().to_string()),
                HeaderSource::Secret(secret) => (name, format!("{secret:?}")),
            })
            .collect();
        writeln!(
            shown,
            "{} {} {headers:?} {:?} {:?}",
            endpoint.name, endpoint.url, endpoint.scopes, endpoint.tls
        )
        .expect("text");
    }
    write!(shown, "{diagnostics}").expect("text");
    expect.assert_eq(&shown);
}

fn read(input: &str) -> (Resources, Diagnostics) {
    let environment = |name: &str| (name == "PSP_KEY").then(|| "s3cret".to_owned());
    let mut resources = Resources::default();
    let mut diagnostics = Diagnostics::default();
    resources.add(input, "resources/r.yaml", &environment, &mut diagnostics);
    resiliency::check_names(&resources.resiliencies, &mut diagnostics);
    (resources, diagnostics.sorted())
}

#[test]
fn a_resiliency_file_of_dapr() {
    check(
        &[("shop", "orders"), ("shop", "catalog"), ("batch", "orders")],
        r#"
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: one, namespace: default, labels: { a: b } }
scopes: [shop]
spec:
  policies:
    timeouts:
      fast: 500ms
      millis: 1500
    retries:
      important:
        policy: exponential
        maxInterval: 15s
        maxRetries: 10
        matching: { httpStatusCodes: "429,500-599", gRPCStatusCodes: 14 }
      DefaultRetryPolicy: { duration: 2s }
    circuitBreakers:
      simple: { maxRequests: 1, interval: 8s, timeout: 45s, trip: consecutiveFailures > 8 }
      DefaultAppCircuitBreakerPolicy: { trip: "requests >= 20 && double(totalFailures) / double(requests) > 0.6" }
  targets:
    apps:
      orders: { timeout: fast, retry: important, circuitBreaker: simple, circuitBreakerCacheSize: 10 }
    actors: { Cart: { timeout: fast } }
---
# An empty document between two others is nothing.
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: statestore }
spec: { type: state.redis, version: v1 }
"#,
        expect![[r#"
            shop -> orders
              500ms: timeouts.fast (resources/r.yaml:9)
              10 retries: retries.important.maxRetries (resources/r.yaml:15)
              Exponential { initial: 500ms, max: 15s }: retries.important.maxInterval (resources/r.yaml:14)
              Codes { http: [(429, 429), (500, 599)], grpc: [(14, 14)] }: retries.important.matching (resources/r.yaml:16)
              ConsecutiveFailures(8): circuitBreakers.simple.trip (resources/r.yaml:19)
              window 8s: circuitBreakers.simple.interval (resources/r.yaml:19)
              open 45s: circuitBreakers.simple.timeout (resources/r.yaml:19)
            shop -> catalog
              4294967295 retries: retries.DefaultRetryPolicy, Dapr's default for maxRetries (resources/r.yaml:17)
              Constant(2s): retries.DefaultRetryPolicy.duration (resources/r.yaml:17)
              FailureRatio { min_calls: 20, ratio: 0.6 }: circuitBreakers.DefaultAppCircuitBreakerPolicy.trip (resources/r.yaml:20)
              open 60s: circuitBreakers.DefaultAppCircuitBreakerPolicy, Dapr's default for timeout (resources/r.yaml:20)
            batch -> orders
            resources/r.yaml:23:74: note M032: `circuitBreakerCacheSize` has no effect: there is one breaker per caller and callee
            resources/r.yaml:24:5: note M032: `targets.actors` is not used yet
        "#]],
    );
}

#[test]
fn later_resources_win() {
    check(
        &[("shop", "orders")],
        r#"
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: one }
spec:
  policies: { timeouts: { short: 1s, long: 10s } }
  targets: { apps: { orders: { timeout: short } } }
---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: two }
spec:
  targets: { apps: { orders: { timeout: long } } }
"#,
        expect![[r#"
            shop -> orders
              10s: timeouts.long (resources/r.yaml:6)
            resources/r.yaml:13:22: warning M033: this takes the place of what resources/r.yaml:7 says of calls to `orders`
        "#]],
    );
}

#[test]
fn what_cannot_be_done_is_an_error() {
    check(
        &[],
        r#"
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: one }
spec:
  policies:
    timeouts: { none: 0s, wrong: 5 minutes }
    retries:
      r: { polcy: constant, maxRetries: -2, matching: { httpStatusCodes: "600" } }
    circuitBreakers:
      odd: { trip: "totalFailures > 3", maxRequests: 5 }
      shut: { timeout: 0s }
  targets:
    apps:
      orders: { timeout: missing, retry: R, circuitbreaker: odd }
---
apiVersion: dapr.io/v1alpha1
kind: Resilience
metadata: { name: two }
---
kind: Secret
"#,
        expect![[r#"
            resources/r.yaml:7:17: error M031: the timeout `none` is 0: Dapr waits without end, Mainstay always ends a wait
                give a long timeout, like 10m
            resources/r.yaml:7:34: error M009: `spec.policies.timeouts.wrong`: `5 minutes` is not a duration: write a number and a unit, like 250ms, 5s or 1m30s (units: ns us ms s m h)
                for example 5s
            resources/r.yaml:9:12: error M006: `spec.policies.retries.r` has no key `polcy`
                did you mean `policy`?
            resources/r.yaml:9:41: error M010: `spec.policies.retries.r.maxRetries` must be at least -1, not -2
            resources/r.yaml:9:74: error M009: `spec.policies.retries.r.matching.httpStatusCodes`: `600` is not a list of status codes from 100 to 599
                for example 429,500-599
            resources/r.yaml:11:14: error M031: the condition `totalFailures > 3` is not supported
                supported are `consecutiveFailures > 5` (or >=), `totalFailures / requests > 0.5` with `requests > 10 &&` before or after it, and `false`
            resources/r.yaml:11:41: warning M032: `maxRequests` has no effect: a half-open breaker lets one probe through, then a growing share
            resources/r.yaml:12:15: error M031: the breaker `shut` would stay open for no time
                give a time above zero
            resources/r.yaml:15:17: error M030: there is no `missing` among the timeouts
                known are `none`
            resources/r.yaml:15:35: error M030: there is no `R` among the retries
                did you mean `r`?
            resources/r.yaml:15:45: error M006: `spec.targets.apps.orders` has no key `circuitbreaker`
                did you mean `circuitBreaker`?
            resources/r.yaml:18:1: error M010: Dapr has no kind `Resilience`
                did you mean `Resiliency`?
            resources/r.yaml:21:1: warning M032: this is not a resource: `apiVersion` or `kind` is missing; it is not used
        "#]],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one long text")]
fn http_endpoints() {
    check(
        &[],
        r#"
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: psp }
scopes: [orders]
spec:
  baseUrl: https://psp.example/v2
  headers:
    - { name: Accept-Language, value: en }
    - { name: Authorization, envRef: PSP_KEY }
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: bad.name }
auth: { secretStore: vault }
spec:
  baseUrl: psp.example
  headers:
    - { name: A, secretKeyRef: { name: x, key: y } }
    - { name: B, envRef: NOT_SET }
    - { name: C }
    - { name: "D E", value: x }
  clientTLS: { certificate: { value: x } }
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: vaulted }
auth: { secretStore: vault }
spec:
  baseUrl: https://psp.example
  headers:
    - { name: A, secretKeyRef: { name: x, key: y } }
    - { name: B, secretKeyRef: { name: x }, value: x }
  clientTLS:
    rootCA: { secretKeyRef: { name: ca } }
    certificate: { secretKeyRef: { name: client, key: certificate } }
    privateKey: { secretKeyRef: { name: client, key: key } }
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: unvaulted }
spec:
  baseUrl: http://psp.example
  headers: [{ name: A, secretKeyRef: { name: x, key: y } }]
  clientTLS: { rootCA: { value: x } }
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: nonsense }
spec: { baseUrl: "https://psp.example", clientTLS: { rootCA: { value: hunter2 }, privatKey: { value: x } } }
"#,
        expect![[r#"
            psp https://psp.example/v2 [("accept-language", "en"), ("authorization", "s3cret")] ["orders"] None
            vaulted https://psp.example/ [("a", "Secret(vault/x)")] [] Some(TlsSource { root_certificates: Some(Secret(vault/ca)), identity: Some((Secret(vault/client), Secret(vault/client))) })
            unvaulted http://psp.example/ [] [] None
            nonsense https://psp.example/ [] [] None
            resources/r.yaml:14:13: error M009: `bad.name` is not an app name: use 1 to 63 letters, digits, `-` or `_`, with a letter or digit at both ends
                calls name it
            resources/r.yaml:17:3: error M009: `psp.example` is not the URL of a service
                write http:// or https://, a host, and at most a path: https://psp.example/v2
            resources/r.yaml:20:7: error M020: the variable `NOT_SET` of `the header B` is not set
                set it in the environment of Mainstay
            resources/r.yaml:21:7: error M022: `the header C` has no value
                give exactly one of `value`, `envRef` and `secretKeyRef`
            resources/r.yaml:22:7: error M009: `D E` with its value is not a header
                names are letters, digits and `-`; values have no line breaks
            resources/r.yaml:23:3: error M008: `certificate` and `privateKey` go together
                give both, or none
            resources/r.yaml:33:7: error M022: `the header B` has more than one value
                give exactly one of `value`, `envRef` and `secretKeyRef`
            resources/r.yaml:44:13: error M008: `the header A` names a secret, and the resource no secret store
                add `auth: { secretStore: NAME }`
            resources/r.yaml:45:3: error M022: there is a `clientTLS`, and the service is spoken to without TLS
                write https:// in `baseUrl`
            resources/r.yaml:50:41: error M009: `clientTLS`: the authority's certificate cannot be read: it is to be PEM
                write `-----BEGIN CERTIFICATE-----` and so on, after `|`
            resources/r.yaml:50:82: error M006: `spec.clientTLS` has no key `privatKey`
                did you mean `privateKey`?
        "#]],
    );
}

#[test]
fn conditions_of_breakers() {
    let mut shown = String::new();
    for condition in [
        "consecutiveFailures > 5",
        "consecutiveFailures>=5",
        " ( consecutiveFailures > 3 ) ",
        "requests > 10 && totalFailures / requests > 0.5",
        "totalFailures/requests >= 0.25 && requests >= 4",
        "double(totalFailures) / double(requests) > 0.5",
        "totalFailures * 100 / requests > 20",
        "false",
        "true",
        "",
        "totalFailures > 10",
        "requests > 10",
        "consecutiveFailures > 5 || requests > 10",
        "consecutiveFailures > -1",
        "consecutiveFailures >= 0",
        "consecutiveFailures > 1.5",
        "totalFailures / requests > 1.5",
        "requests / totalFailures > 0.5",
        "totalFailures / requests > ",
        "totalFailures // requests > 0.5",
        "consecutiveSuccesses > 1",
        "ä > 1",
    ] {
        let read = match trip::parse(condition) {
            Ok(trip) => format!("{trip:?}"),
            Err(_) => "not supported".to_owned(),
        };
        writeln!(shown, "{condition:?}: {read}").expect("text");
    }
    expect![[r#"
        "consecutiveFailures > 5": ConsecutiveFailures(5)
        "consecutiveFailures>=5": ConsecutiveFailures(4)
        " ( consecutiveFailures > 3 ) ": ConsecutiveFailures(3)
        "requests > 10 && totalFailures / requests > 0.5": FailureRatio { min_calls: 11, ratio: 0.5 }
        "totalFailures/requests >= 0.25 && requests >= 4": FailureRatio { min_calls: 4, ratio: 0.24999999999999997 }
        "double(totalFailures) / double(requests) > 0.5": FailureRatio { min_calls: 1, ratio: 0.5 }
        "totalFailures * 100 / requests > 20": FailureRatio { min_calls: 1, ratio: 0.2 }
        "false": Never
        "true": not supported
        "": not supported
        "totalFailures > 10": not supported
        "requests > 10": not supported
        "consecutiveFailures > 5 || requests > 10": not supported
        "consecutiveFailures > -1": not supported
        "consecutiveFailures >= 0": not supported
        "consecutiveFailures > 1.5": not supported
        "totalFailures / requests > 1.5": not supported
        "requests / totalFailures > 0.5": not supported
        "totalFailures / requests > ": not supported
        "totalFailures // requests > 0.5": not supported
        "consecutiveSuccesses > 1": not supported
        "ä > 1": not supported
    "#]].assert_eq(&shown);
}

proptest::proptest! {
    #[test]
    fn no_condition_panics(text in ".{0,60}") {
        let _ = trip::parse(&text);
    }

    #[test]
    fn no_resource_panics(text in "(apiVersion: dapr.io/v1alpha1\nkind: Resiliency\n)?[ -~\n]{0,200}") {
        let _ = read(&text);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one long text")]
fn configurations() {
    let text = r#"
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: all }
spec:
  tracing: { samplingRate: "1" }
  accessControl: { defaultAction: deny }
  secrets:
    scopes:
      - { storeName: vault, defaultAccess: Deny, allowedSecrets: [a] }
      - { storeName: valut, deniedSecrets: [b] }
      - { storeName: vault }
      - { storeName: other, defaultAccess: denny }
      - { storeName: third, deniedSecret: [a] }
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: all }
spec: {}
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: more }
spec: { secrets: { scopes: [{ storeName: vault }] } }
"#;
    let mut diagnostics = Diagnostics::default();
    let mut resources = Resources::default();
    resources.add(text, "resources/r.yaml", &|_| None, &mut diagnostics);
    let configurations = resources.configurations;
    configuration::check(&configurations, &["vault"], &mut diagnostics);
    let place = || Place::file("mainstay.yaml");
    let mut shown = String::new();
    for name in [None, Some("all"), Some("more"), Some("moer")] {
        let named = name.map(|name| (name, place()));
        match configuration::scopes_of(&configurations, named, ("orders", &place())) {
            Ok(scopes) => {
                let may: Vec<bool> = ["a", "b"]
                    .iter()
                    .map(|secret| scopes.allow("vault", secret))
                    .collect();
                writeln!(shown, "{name:?}: {may:?}").expect("text");
            }
            Err(error) => writeln!(shown, "{name:?}: {error}").expect("text"),
        }
    }
    let alone = configuration::scopes_of(&configurations[..1], None, ("orders", &place()));
    assert!(!alone.expect("the only one").allow("vault", "b"));
    assert!(configuration::merged(&configurations).is_err());
    write!(shown, "{diagnostics}").expect("text");
    expect![[r#"
        None: mainstay.yaml: error M022: which secrets `orders` may read is said by several Configurations
            name one of them: `config: more`
        Some("all"): [true, false]
        Some("more"): [true, true]
        Some("moer"): mainstay.yaml: error M035: there is no Configuration `moer`
            did you mean `more`?
        resources/r.yaml:14:29: error M006: `spec.secrets.scopes[4]` has no key `deniedSecret`
            did you mean `deniedSecrets`?
        resources/r.yaml:7:3: warning M032: `accessControl` of the Configuration `all` is not used yet
        resources/r.yaml:6:3: note M032: `tracing` of the Configuration `all` is not used yet
        resources/r.yaml:12:9: error M004: there is a scope of `vault` at resources/r.yaml:10 already
            make one of the two
        resources/r.yaml:13:29: error M010: `defaultAccess` is `denny`
            did you mean `deny`?
        resources/r.yaml:11:9: warning M035: there is no secret store `valut`: its scope has no effect
            did you mean `vault`?
        resources/r.yaml:14:9: warning M035: there is no secret store `third`: its scope has no effect
            known are `vault`
        resources/r.yaml:18:13: error M018: there is a Configuration `all` at resources/r.yaml:4 already
            give each its own name
    "#]]
    .assert_eq(&shown);
}
