//! What is wrong in a manifest.

use expect_test::expect;

use super::check;

#[test]
#[expect(clippy::too_many_lines, reason = "one long text")]
fn all_mistakes_at_once() {
    check(
        r#"
name: shop
store: embedded
apps:
  storefront:
    comand: ["./storefront"]
    command: x
    port: 8080
    ingress: { path: / }
    calls: [order, catalog, catalog]
    sla: { latency: 300, availability: 99.9 }
    environment: { A: 1 }
  orders:
    command: "./orders | tee log"
    port: 8080
    port: 8081
    replicas: 3..2
    publishes: [order-placed]
    ingress: { path: / }
    needs: [catalog]
  catalog:
    command: ["./c", "${NOPE}"]
    port: 8080
    replicas: 2
    needs: { orders: healthy, migrate: completed }
    restart: sometimes
    env_file: none.env
    probes: { liveness: { http: health, tcp: {} } }
  migrate: { command: x, restart: always, protocol: gprc }
  ingress: { command: x }
  -bad: { command: x }
external:
  orders: { url: "ftp://x" }
"#,
        expect![[r#"
            mainstay.yaml:6:5: error M006: `apps.storefront` has no key `comand`
                did you mean `command`?
            mainstay.yaml:10:13: error M014: `storefront` calls `order`, which is neither an app nor an external service
                did you mean `orders`?
            mainstay.yaml:10:29: error M004: `catalog` is named twice
                keep one of the two
            mainstay.yaml:11:21: error M009: `apps.storefront.sla.latency`: `300` has no unit: is it 300ms or 300s? (units: ns us ms s m h)
                for example 300ms
            mainstay.yaml:11:40: error M009: `apps.storefront.sla.availability`: `99.9` has no percent sign: write 99.9%
                for example 99.9%
            mainstay.yaml:12:5: error M006: `apps.storefront` has no key `environment`
                write `env`
            mainstay.yaml:14:5: error M021: the command cannot be split: `|` means something only to a shell
                write it as a list, and with a shell where one is meant: [sh, -c, "…"]
            mainstay.yaml:15:5: error M012: port 8080 is already that of `storefront`
                choose another port than that of mainstay.yaml:8, or take `port` out: each app is then given a free one in $PORT
            mainstay.yaml:16:5: error M004: `port` is written twice
                the first one is on line 15; keep one of the two
            mainstay.yaml:17:15: error M009: `apps.orders.replicas`: `3..2` is the wrong way round: write 2..3
                for example 2..6
            mainstay.yaml:18:5: error M011: `publishes` comes with a later version: messages are not part of this version
                it has no effect yet; take it out
            mainstay.yaml:19:5: error M017: `/` already goes to `storefront`
                see mainstay.yaml:9; give one of them a longer path or a host
            mainstay.yaml:20:13: error M015: these apps wait for each other for ever: orders -> catalog -> orders
                take one of these `needs` out; a call at run time does not need one
            mainstay.yaml:22:5: error M020: the variable `NOPE` is not set
                set it, give a default like ${NAME:-default}, or write $${NAME} for the text itself
            mainstay.yaml:23:5: error M012: port 8080 is already that of `storefront`
                choose another port than that of mainstay.yaml:8, or take `port` out: each app is then given a free one in $PORT
            mainstay.yaml:23:5: error M013: `catalog` has up to 2 replicas, they cannot all listen on port 8080
                take `port` out and let each replica listen on its own $PORT
            mainstay.yaml:25:31: error M016: `catalog` waits for `migrate` to complete, which is restarted whenever it ends
                give `migrate` `restart: on-failure`, or wait for it to be started or healthy
            mainstay.yaml:26:14: error M010: `apps.catalog.restart` must be one of always, on-failure, never, not the text `sometimes`
            mainstay.yaml:27:5: error M019: the env file none.env: it cannot be read: No such file or directory (os error 2)
                paths are seen from the manifest's folder
            mainstay.yaml:28:15: error M022: the probe tries several things: http, tcp
                give exactly one of `http`, `tcp`, `exec` and `log`
            mainstay.yaml:28:27: error M009: `health` is not a path
                for example /healthz
            mainstay.yaml:29:53: error M010: `apps.migrate.protocol` must be one of http, h2c, grpc, not the text `gprc`
                did you mean `grpc`?
            mainstay.yaml:30:3: error M018: `ingress` is the name under which the front door calls
                give it another name
            mainstay.yaml:31:3: error M009: in `apps`: `-bad` is not an app name: use 1 to 63 letters, digits, `-` or `_`, with a letter or digit at both ends
            mainstay.yaml:33:3: error M018: `orders` is an app and an external service
                the app is at mainstay.yaml:13; rename one of the two
            mainstay.yaml:33:13: error M009: `ftp://x` is not the URL of a service
                write http:// or https://, a host, and at most a path: https://psp.example/v2
        "#]],
    );
}

#[test]
fn needs_in_circles_are_told_once_each() {
    check(
        r#"
apps:
  a: { command: x, needs: [b] }
  b: { command: x, needs: { c: started } }
  c: { command: x, needs: [a] }
  d: { command: x, needs: [d, a] }
  e: { command: x, needs: [psp, d, nobody] }
external: { psp: { url: "http://psp.example" } }
"#,
        expect![[r#"
            mainstay.yaml:3:28: error M015: these apps wait for each other for ever: a -> b -> c -> a
                take one of these `needs` out; a call at run time does not need one
            mainstay.yaml:6:28: error M015: these apps wait for each other for ever: d -> d
                take one of these `needs` out; a call at run time does not need one
            mainstay.yaml:7:28: error M014: `e` needs `psp`, which is external: Mainstay does not start it
                known are `a`, `b`, `c`, `d`, `e`
            mainstay.yaml:7:36: error M014: `e` needs `nobody`, which is not an app
                known are `a`, `b`, `c`, `d`, `e`
        "#]],
    );
}

#[test]
fn fallbacks_must_make_sense() {
    check(
        r#"
apps:
  shop:
    command: x
    calls:
      a: { fallback: {} }
      b: { fallback: { app: b } }
      c: { fallback: { app: d } }
      e: { fallback: { app: a, status: 200 } }
      f: { fallback: { app: g } }
      h: { fallback: { status: 99, content_type: "a\n\u001bb" } }
      i: { per_request: 0 }
  a: { command: x }
  b: { command: x }
  c: { command: x }
  d: { command: x }
  e: { command: x }
  f: { command: x }
  h: { command: x }
  i: { command: x }
"#,
        expect![[r#"
            mainstay.yaml:6:12: error M022: the fallback says nothing
                write `app: NAME`, or `body` with `status` and `content_type`
            mainstay.yaml:7:12: error M022: `b` cannot stand in for itself
                name another app, or give a fixed answer
            mainstay.yaml:8:12: error M014: the fallback `d` is not among the calls of `shop`
                add `d` to the calls of `shop`: every call is declared
            mainstay.yaml:9:12: error M022: the fallback names an app and a fixed answer
                keep `app`, or `status`, `content_type` and `body`
            mainstay.yaml:10:12: error M014: the fallback `g` is neither an app nor an external service
                known are `a`, `b`, `c`, `e`, `h`, `i`
            mainstay.yaml:11:32: error M010: `apps.shop.calls.h.fallback.status` must be from 200 to 599, not 99
            mainstay.yaml:11:36: error M009: `a\n\u{1b}b` is not a content type
                for example application/json
            mainstay.yaml:12:25: error M010: `apps.shop.calls.i.per_request` must be from 1 to 1000, not 0
        "#]],
    );
}

#[test]
fn caches_that_cannot_be() {
    check(
        r#"
components:
  statestor: { cache: { ttl: 30s } }
  lockstore: { cache: { ttl: 30s } }
  statestore: { cache: { ttl: 1s, negative: 2s, refresh: 80, max: 64, vary: [a], redis: "http://:hunter2@x" } }
  configstore: { type: state.redis }
apps:
  shop: { command: x, calls: { a: { cache: { ttl: 30 } } } }
  a: { command: x }
"#,
        expect![[r#"
            mainstay.yaml:3:3: error M035: there is no component `statestor`
                did you mean `statestore`?
            mainstay.yaml:4:3: error M022: `lockstore` cannot have a cache: it is a lock.mainstay
                only state stores have one
            mainstay.yaml:5:35: error M010: `negative: 2s` is longer than `ttl: 1s`
            mainstay.yaml:5:58: error M009: `components.statestore.cache.refresh`: `80` has no percent sign: write 80%
                for example 80%
            mainstay.yaml:5:67: error M009: `components.statestore.cache.max`: `64` is not a size: write a number and KiB, MiB or GiB, like 64MiB
                for example 64MiB
            mainstay.yaml:5:71: error M006: `components.statestore.cache` has no key `vary`
                only answers of calls vary
            mainstay.yaml:5:82: error M009: `redis` is not the URL of a Redis
                write redis://user:password@host:6379/0, or rediss:// for TLS
            mainstay.yaml:6:18: error M006: `components.configstore` has no key `type`
                components are declared by Dapr files in the folder of `resources`
            mainstay.yaml:8:51: error M009: `apps.shop.calls.a.cache.ttl`: `30` has no unit: is it 30ms or 30s? (units: ns us ms s m h)
                for example 300ms
        "#]],
    );
}
