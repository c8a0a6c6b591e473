use std::fmt::Write as _;
use std::fs;

use expect_test::{Expect, expect};

use super::*;

/// Loads a manifest (and further files, each after a line `==> name`) and shows every mistake.
fn check(input: &str, expect: Expect) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = input.split("==> ");
    fs::write(
        folder.path().join("mainstay.yaml"),
        parts.next().unwrap_or_default(),
    )
    .expect("a file");
    for part in parts {
        let (name, text) = part.split_once('\n').expect("a name and a text");
        let path = folder.path().join(name.trim());
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let environment = |name: &str| (name == "HOME_TOWN").then(|| "Pisa".to_owned());
    let shown = match load_with(folder.path(), &environment) {
        Err(diagnostics) => diagnostics.to_string(),
        Ok(manifest) => {
            let mut shown = String::new();
            for app in &manifest.apps {
                writeln!(shown, "{} {:?} {:?}", app.id(), app.spec.command, app.spec.env).expect("text");
            }
            write!(shown, "{}", manifest.notices).expect("text");
            shown
        }
    };
    expect.assert_eq(&shown);
}

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
        "#]],
    );
}

#[test]
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
            mainstay.yaml:3:1: error M011: `store` comes with a later version: until then there is no durable state to place
                it has no effect yet; take it out
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
