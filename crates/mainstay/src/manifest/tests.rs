use std::fmt::Write as _;
use std::fs;

use expect_test::{Expect, expect};

use super::*;

/// Loads a manifest, and further files, each after a line `==> name`.
pub(crate) fn load_text(input: &str) -> Result<Manifest, Diagnostics> {
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
    load_with(folder.path(), &environment)
}

/// Loads a manifest and shows what it says, or every mistake.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(input: &str, expect: Expect) {
    let shown = match load_text(input) {
        Err(diagnostics) => diagnostics.to_string(),
        Ok(manifest) => {
            let mut shown = String::new();
            for app in &manifest.apps {
                writeln!(shown, "{} {:?} {:?}", app.id(), app.spec.command, app.spec.env).expect("text");
            }
            for external in &manifest.externals {
                writeln!(shown, "{} at {}", external.name, external.url).expect("text");
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
            payments at https://psp.example/
        "#]],
    );
}

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
fn files_that_are_no_manifest() {
    check(
        "",
        expect![[r#"
        mainstay.yaml: error M005: the file is empty
            the smallest manifest is:  apps: { hello: { command: [./hello] } }
    "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
        mainstay.yaml: error M005: the file is empty
            the smallest manifest is:  apps: { hello: { command: [./hello] } }
    "#]],
    );
    check(
        "- a\n- list\n",
        expect![[r#"
            mainstay.yaml:1:1: error M007: the file must be a mapping, not a list
        "#]],
    );
    check(
        "just text",
        expect![[r#"
            mainstay.yaml:1:1: error M007: the file must be a mapping, not the text `just text`
        "#]],
    );
    check(
        "apps: [\n",
        expect![[r#"
        mainstay.yaml:2:1: error M003: while parsing a node, did not find expected node content
    "#]],
    );
    check(
        "apps:\n\tx: 1\n",
        expect![[r#"
        mainstay.yaml:2:2: error M003: tabs disallowed within this context (block indentation)
    "#]],
    );
    check(
        "apps: { a: { command: x } }\n---\napps: {}\n",
        expect![[r#"
        mainstay.yaml:3:1: error M003: a manifest is one YAML document; a second one starts here
    "#]],
    );
    check(
        "apps: *nothing\n",
        expect![[r#"
        mainstay.yaml:1:7: error M003: while parsing node, found unknown anchor
    "#]],
    );
    check(
        "{{a}: b}: c\n",
        expect![[r#"
        mainstay.yaml:1:1: error M007: a key must be a word, not a list, a mapping or nothing
        mainstay.yaml:1:1: error M008: the file needs the key `apps`
        mainstay.yaml:1:2: error M007: a key must be a word, not a list, a mapping or nothing
    "#]],
    );
}

#[test]
fn files_that_are_too_much() {
    let deep = format!("apps: {}{}", "[".repeat(1000), "]".repeat(1000));
    check(
        &deep,
        expect![[r#"
        mainstay.yaml:1:262: error M003: recursion limit exceeded
    "#]],
    );
    // Each line is ten of the line before: the last would be a thousand million values.
    let mut bomb = "a0: &a0 x\n".to_owned();
    for level in 1..10 {
        let many = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{many}]").expect("text");
    }
    check(
        &bomb,
        expect![[r#"
        mainstay.yaml:6:40: error M002: more than 100000 values, with aliases expanded
    "#]],
    );
    check(
        &"#".repeat(2 * 1024 * 1024),
        expect![[r#"
        mainstay.yaml: error M002: the file is larger than 1 MiB
    "#]],
    );
}

#[test]
fn a_manifest_must_be_there_once_and_be_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = |dir: &Path| match load(dir) {
        Ok(_) => "good".to_owned(),
        Err(diagnostics) => diagnostics
            .to_string()
            .replace(&folder.path().display().to_string(), "DIR"),
    };
    expect![[r#"
        DIR: error M001: there is no mainstay.yaml in DIR
            run the command in the folder of the manifest, or give the folder
    "#]]
    .assert_eq(&shown(folder.path()));
    fs::write(folder.path().join("mainstay.yml"), b"apps:\n  \xff").expect("a file");
    expect![[r#"
        mainstay.yml: error M001: it is not UTF-8 text, first on line 2
    "#]]
    .assert_eq(&shown(folder.path()));
    fs::write(folder.path().join("mainstay.yaml"), "apps: { a: { command: x } }").expect("a file");
    expect![[r#"
        DIR: error M001: there is a mainstay.yaml and a mainstay.yml
            keep one of the two
    "#]]
    .assert_eq(&shown(folder.path()));
    assert_eq!(shown(&folder.path().join("mainstay.yaml")), "good");
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

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,300}") {
        let _ = parse(&text, "mainstay.yaml");
    }

    #[test]
    fn no_yaml_panics(text in "(apps:\n)?([ ]{0,8}(-|a|command|port|sla|calls|needs|&x|\\*x|<<)?(: )?(\\[|\\{|\\]|\\}|'|\"|1|2s|x|\\||>)?\n){0,20}") {
        let (parsed, _) = parse(&text, "mainstay.yaml");
        if let Some(parsed) = parsed {
            let mut diagnostics = rules::check(&parsed, &Resources::default());
            let _ = build::build(&parsed, Resources::default(), Path::new("."), &|_| None, &mut diagnostics);
        }
    }

    #[test]
    fn no_line_panics(text in ".{0,60}") {
        let _ = command_line::split(&text);
        let _ = interpolate::interpolate(&text, &|_| None);
        let _ = env_file::parse(&text, &|_| None);
    }
}
